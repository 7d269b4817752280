"""Scaled dot products of queries and keys."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from gia.attention.scope import Scope
from gia.attention.score.base import Scores
from gia.graph.csr_pairs import CSRPairs
from gia.graph.pair_layout import PairBlock
from gia.ops.rotate import rotate
from gia.typing import OptTensor


@dataclass(frozen=True)
class DotProduct(Scores):
    r"""Scores :math:`S[i, j] = \mathbf{q}_i \cdot \mathbf{k}_j / \sqrt{d}`, not computed yet.

    Shapes:
        - **q**, **k:** ``[N, H, d]``
    """

    q: Tensor
    k: Tensor

    @property
    def heads(self) -> int:
        return self.q.size(1)

    @property
    def scale(self) -> float:
        return self.q.size(-1) ** -0.5

    @property
    def tensors(self) -> list[Tensor]:
        return [self.q, self.k]

    def with_tensors(self, tensors: Sequence[Tensor]) -> "DotProduct":
        return DotProduct(*tensors)

    def times(self, factor: Tensor | float) -> "DotProduct":
        return DotProduct(self.q * factor, self.k)

    def block(self, block: PairBlock) -> Tensor:
        q, k = self._ends(block)
        return q @ k.transpose(-1, -2)

    def on(self, pairs: CSRPairs) -> Tensor:
        return pairs.pattern.dots(self.q.flatten(0, 1), self.k.flatten(0, 1)) * self.scale

    def split(self, maps: int) -> list["DotProduct"]:
        parts = (tensor.chunk(maps, dim=1) for tensor in self.tensors)
        return [DotProduct(q, k) for q, k in zip(*parts, strict=True)]

    def pull_back(self, block: PairBlock, grad: Tensor, grads: Sequence[Tensor]) -> None:
        """Add the gradients of the tensors, given that of a block's scores ``[B, H, R, C]``."""
        q, k = self._ends(block)
        block.add_to_targets(grads[0], (grad @ k).transpose(1, 2), self.scale)
        block.add_to_sources(grads[1], (grad.transpose(-1, -2) @ q).transpose(1, 2))

    def _ends(self, block: PairBlock) -> tuple[Tensor, Tensor]:
        """Scaled queries ``[B, H, R, d]`` and keys ``[B, H, C, d]``, at least in float32."""
        dtype = torch.promote_types(self.q.dtype, torch.float32)
        q, k = block.target_heads(self.q).to(dtype), block.source_heads(self.k).to(dtype)
        return q * self.scale, k


@dataclass(frozen=True)
class LazyDotProduct(Scores):
    """Scores whose queries are made when the factor on them is known.

    A factor is taken into the projection of the queries, ``[D, D]``, where it costs next to nothing
    in time and no memory, and not into the queries, ``[N, D]``.

    Args:
        queries (callable): ``queries(factor)``, ``[N, H, d]``.
        k (Tensor): Keys, ``[N, H, d]``.
        factor (Tensor or float, optional): The factor so far.
    """

    queries: Callable[[Tensor | float | None], Tensor]
    k: Tensor
    factor: Tensor | float | None = None

    @property
    def heads(self) -> int:
        return self.k.size(1)

    def times(self, factor: Tensor | float) -> "LazyDotProduct":
        if self.factor is not None:
            factor = self.factor * factor
        return LazyDotProduct(self.queries, self.k, factor)

    def compute(self) -> DotProduct:
        return DotProduct(self.queries(self.factor), self.k)

    @property
    def tensors(self) -> list[Tensor]:
        return self.compute().tensors

    def with_tensors(self, tensors: Sequence[Tensor]) -> DotProduct:
        return DotProduct(*tensors)

    def block(self, block: PairBlock) -> Tensor:
        return self.compute().block(block)

    def on(self, pairs: CSRPairs) -> Tensor:
        return self.compute().on(pairs)


class DotProductScore(nn.Module):
    """Scaled dot products of queries and keys, turned by their positions if these are given.

    Args:
        in_channels (int): Channels D of a node.
        heads (int): Heads H; must divide ``in_channels``.
        bias (bool): Whether the projections have a bias.
        maps (int): Maps of scores; :class:`~gia.attention.Differential` needs 2.

    Shapes:
        - **x:** ``[N, D]``
        - **rotary:** cosines and sines of :class:`~gia.attention.Rotary`, ``[2, N, 1, d]``

    Raises:
        ValueError: If ``heads`` does not divide ``in_channels``.
    """

    def __init__(self, in_channels: int, heads: int, *, bias: bool = False, maps: int = 1):
        super().__init__()
        if heads < 1 or in_channels % heads:
            raise ValueError(
                f"the number of heads must divide the width: {heads} heads, {in_channels} wide"
            )
        self.maps = maps
        self.heads = heads * maps
        self.q_proj = nn.Linear(in_channels, maps * in_channels, bias=bias)
        self.k_proj = nn.Linear(in_channels, maps * in_channels, bias=bias)

    def forward(
        self, x: Tensor, rotary: OptTensor = None, scope: Scope | None = None
    ) -> LazyDotProduct:
        def queries(factor: Tensor | float | None) -> Tensor:
            if factor is None:
                return self._finish(self.q_proj(x), rotary)
            if type(self.q_proj) is not nn.Linear:  # wrapped, as by an adapter: no plain weight
                return self._finish(self.q_proj(x) * factor, rotary)
            weight, bias = self.q_proj.weight * factor, self.q_proj.bias
            bias = bias if bias is None else bias * factor
            return self._finish(linear(x, weight, bias), rotary)

        return LazyDotProduct(queries, self._finish(self.k_proj(x), rotary))

    def _finish(self, projected: Tensor, rotary: OptTensor) -> Tensor:
        split = projected.unflatten(-1, (self.heads, -1))  # [N, H, d]
        return split if rotary is None else rotate(split, rotary)
