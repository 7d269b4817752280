"""Linear layers and MLPs with weights of their own for each head, as batched products."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gia.nn.dropout import Dropout
from gia.nn.norm import RMSNormSiLU
from gia.typing import OptTensor


class PerHeadLinear(nn.Module):
    """One linear map for each head, all in one batched product.

    Args:
        heads (int): Heads H.
        in_channels, out_channels (int): Channels of a head before and after.
        bias (bool): Whether to add a bias.

    Shapes:
        - **parts:** ``[H, N, *]`` each, together ``in_channels``: as if concatenated, without the
          copy; a part that is given twice is multiplied once
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

    def forward(self, *parts: Tensor) -> Tensor:
        if len(parts) == 1:
            return self._product(parts[0], self.weight, self.bias)
        weights = self.weight.split([part.size(-1) for part in parts], dim=-1)
        merged: list[tuple[Tensor, Tensor]] = []
        for part, weight in zip(parts, weights, strict=True):
            same = _place(part, [other for other, _ in merged])
            if same is None:
                merged.append((part, weight))
            else:
                merged[same] = part, merged[same][1] + weight
        out = self.bias
        for part, weight in merged:
            out = self._product(part, weight, out)
        return out

    @staticmethod
    def _product(part: Tensor, weight: Tensor, out: OptTensor) -> Tensor:
        weight = weight.transpose(1, 2)
        return torch.bmm(part, weight) if out is None else torch.baddbmm(out, part, weight)

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
        - **x:** ``[N, H, in_channels]``, also as a list of parts ``[N, H, *]`` of its channels, or
          ``[N, H * in_channels]``
        - **output:** ``[N, H, out_channels]`` or ``[N, H * out_channels]``, as x
    """

    takes_parts = True

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
        self.in_features = heads * in_channels  # as torch's layers name the width of a flat x
        self.net = nn.Sequential(
            PerHeadLinear(heads, in_channels, hidden_channels, bias=bias),
            Dropout(dropout),
            RMSNormSiLU(hidden_channels, heads) if norm else nn.SiLU(),
            nn.Identity(),  # parameters keep the names that they have in saved models
            PerHeadLinear(heads, hidden_channels, out_channels, bias=bias),
        )

    def reset_parameters(self) -> None:
        for module in self.net:
            if hasattr(module, "reset_parameters"):
                module.reset_parameters()

    def forward(self, x: Tensor | Sequence[Tensor]) -> Tensor:
        parts = [x] if isinstance(x, Tensor) else x
        flat = parts[0].dim() == 2
        if flat:
            parts = [part.unflatten(-1, (self.heads, -1)) for part in parts]
        first, *between, last = self.net
        by_head: list[Tensor] = []
        for number, part in enumerate(parts):  # one for parts that recur
            same = _place(part, parts[:number])
            by_head.append(part.transpose(0, 1) if same is None else by_head[same])
        out = first(*by_head)  # one product over heads: [H, N, *]
        for module in between:
            out = module(out)
        out = last(out).transpose(0, 1)
        return out.flatten(1) if flat else out


def _place(part: Tensor, parts: Sequence[Tensor]) -> int | None:
    """Where this very tensor is among others, None if nowhere."""
    for number, other in enumerate(parts):
        if other is part:
            return number
    return None
