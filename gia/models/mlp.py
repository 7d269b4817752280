"""What a block does to each node alone, after its neighbours have spoken."""

from torch import Tensor, nn
from torch.nn.functional import silu


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
        return self.down(silu(self.gate(x)) * self.up(x))


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


class LinearMLP(nn.Linear):
    r""":math:`W \mathbf{x}`: no hidden layer, so that all non-linearity is left to the attention.

    Args:
        width (int): Channels D of a node.

    Shapes:
        - **x**, **output:** ``[N, D]``
    """

    def __init__(self, width: int):
        super().__init__(width, width, bias=False)
