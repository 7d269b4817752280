"""What a block does after its attention: to each node alone, or halfway with its neighbours."""

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from gia.graph import Adjacency
from gia.ops.recompute import forgetting
from gia.ops.silu import gated


class SwiGLU(nn.Module):
    r""":math:`W_o \big(\mathrm{SiLU}(W_g \mathbf{x}) \odot W_i \mathbf{x}\big)`.

    `"GLU Variants Improve Transformer" <https://arxiv.org/abs/2002.05202>`_, eq. 6.

    Args:
        width (int): Channels D of a node.
        hidden (int): Hidden channels.

    Shapes:
        - **x**, **output:** ``[N, D]``
    """

    def __init__(self, width: int, hidden: int):
        super().__init__()
        self.gate = nn.Linear(width, hidden, bias=False)
        self.up = nn.Linear(width, hidden, bias=False)
        self.down = nn.Linear(hidden, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        gate, value = self.gate(x), self.up(x)
        hidden = gated(gate, value)
        with forgetting(hidden, lambda: gated(gate, value)):
            return self.down(hidden)


class ShallowMLP(nn.Sequential):
    r""":math:`W_o \, \mathrm{SiLU}(W_i \mathbf{x})`: one hidden layer without a gate.

    Args:
        width (int): Channels D of a node.
        hidden (int): Hidden channels.

    Shapes:
        - **x**, **output:** ``[N, D]``
    """

    def __init__(self, width: int, hidden: int):
        super().__init__(
            nn.Linear(width, hidden, bias=False), nn.SiLU(), nn.Linear(hidden, width, bias=False)
        )


class ReLUMLP(nn.Sequential):
    r""":math:`W_o \, \mathrm{ReLU}(W_i \mathbf{x} + b_i) + b_o` with dropout between.

    Args:
        width (int): Channels D of a node.
        hidden (int): Hidden channels.
        dropout (float): Dropout on the hidden channels.

    Shapes:
        - **x**, **output:** ``[N, D]``
    """

    def __init__(self, width: int, hidden: int, *, dropout: float = 0.0):
        super().__init__(
            nn.Linear(width, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, width)
        )


class LinearMLP(nn.Linear):
    r""":math:`W \mathbf{x}`: no hidden layer, so that all non-linearity is left to the attention.

    Args:
        width (int): Channels D of a node.

    Shapes:
        - **x**, **output:** ``[N, D]``
    """

    def __init__(self, width: int):
        super().__init__(width, width, bias=False)


class GINMLP(nn.Module):
    r"""Message passing inside the MLP: :math:`W_o \big((1 + \epsilon_h) H_h + A_h H_h\big)` with
    :math:`H = \mathrm{SiLU}(W_i X)`.

    The hidden channels are shared by the heads of the attention's graph, whose edges serve twice.

    Args:
        width (int): Channels D of a node.
        hidden (int): Hidden channels, rounded up to a multiple of the heads.
        heads (int): Heads H of the graph.
        eps (float): Start of the trainable :math:`\epsilon` of each head.

    Shapes:
        - **x**, **output:** ``[N, D]``
    """

    takes_adjacency = True

    def __init__(self, width: int, hidden: int, heads: int, *, eps: float = 0.0):
        super().__init__()
        self.heads, self.initial_eps = heads, eps
        hidden = -(-hidden // heads) * heads
        self.up = nn.Linear(width, hidden, bias=False)
        self.eps = nn.Parameter(torch.empty(heads))
        self.down = nn.Linear(hidden, width, bias=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.constant_(self.eps, self.initial_eps)

    def forward(self, x: Tensor, adjacency: Adjacency) -> Tensor:
        hidden = silu(self.up(x)).unflatten(-1, (self.heads, -1))  # [N, H, M / H]
        hidden = adjacency.sum(hidden) + (1 + self.eps).unsqueeze(1) * hidden
        return self.down(hidden.flatten(1))
