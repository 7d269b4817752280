"""Linear layers and MLPs with weights of their own for each head, as batched products."""

import math

import torch
from torch import Tensor, nn

from gia.conv.norm import RMSNorm


class PerHeadLinear(nn.Module):
    """One linear map for each head, all in one batched product.

    Args:
        heads (int): Heads H.
        in_channels, out_channels (int): Channels of a head before and after.
        bias (bool): Whether to add a bias.

    Shapes:
        - **x:** ``[H, N, in_channels]``
        - **output:** ``[H, N, out_channels]``
    """

    def __init__(self, heads: int, in_channels: int, out_channels: int, *, bias: bool = True):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(heads, out_channels, in_channels))
        self.bias = nn.Parameter(torch.empty(heads, 1, out_channels)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """As :class:`torch.nn.Linear` does for each head alone."""
        bound = 1 / math.sqrt(max(self.weight.size(-1), 1))
        nn.init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight.transpose(1, 2)
        return torch.bmm(x, weight) if self.bias is None else torch.baddbmm(self.bias, x, weight)

    def extra_repr(self) -> str:
        heads, out_channels, in_channels = self.weight.shape
        return f"{heads}, {in_channels}, {out_channels}, bias={self.bias is not None}"


class PerHeadMLP(nn.Module):
    r"""``Linear -> Dropout -> RMSNorm -> SiLU -> Linear`` for each head alone.

    The network of GIN-Attention and (without bias and norm) of PNA-Attention in
    `"Graph-Aware Isomorphic Attention" <https://arxiv.org/abs/2501.02393>`_.

    Args:
        heads (int): Heads H.
        in_channels, hidden_channels, out_channels (int): Channels of a head.
        bias (bool): Whether the linear maps have a bias.
        norm (bool): Whether the hidden channels are normalised.
        dropout (float): Dropout on the hidden channels.

    Shapes:
        - **x:** ``[N, H, in_channels]`` or ``[N, H * in_channels]``
        - **output:** ``[N, H, out_channels]`` or ``[N, H * out_channels]``, as x
    """

    def __init__(
        self,
        heads: int,
        in_channels: int,
        hidden_channels: int,
        out_channels: int,
        *,
        bias: bool = True,
        norm: bool = True,
        dropout: float = 0.0,
    ):
        super().__init__()
        if hidden_channels < 1:
            raise ValueError(f"a head's MLP needs at least 1 hidden channel, got {hidden_channels}")
        self.heads = heads
        self.net = nn.Sequential(
            PerHeadLinear(heads, in_channels, hidden_channels, bias=bias),
            nn.Dropout(dropout),
            RMSNorm(hidden_channels, heads) if norm else nn.Identity(),
            nn.SiLU(),
            PerHeadLinear(heads, hidden_channels, out_channels, bias=bias),
        )

    def reset_parameters(self) -> None:
        for module in self.net:
            if hasattr(module, "reset_parameters"):
                module.reset_parameters()

    def forward(self, x: Tensor) -> Tensor:
        flat = x.dim() == 2
        if flat:
            x = x.unflatten(-1, (self.heads, -1))
        out = self.net(x.transpose(0, 1)).transpose(0, 1)  # one product over heads: [H, N, *]
        return out.flatten(1) if flat else out
