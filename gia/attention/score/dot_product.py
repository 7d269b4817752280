"""Scaled dot products of queries and keys."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from torch import Tensor, nn
from torch.nn.functional import linear

from gia.attention.scope import Scope
from gia.attention.score.base import Score, Scores
from gia.graph.pair_block import PairBlock
from gia.graph.pair_layout import PairLayout
from gia.ops.rotate import rotate
from gia.typing import OptTensor


@dataclass(frozen=True)
class DotProduct(Scores):
    r"""Scores :math:`S[i, j] = \mathbf{q}_i \cdot \mathbf{k}_j / \sqrt{d}`, not computed yet.

    Args:
        q, k (Tensor): Queries and keys, ``[N, H, d]`` each.
        scale (float, optional): In place of :math:`1 / \sqrt{d}`.
    """

    q: Tensor
    k: Tensor
    scale: float | None = None

    def __post_init__(self):
        if self.scale is None:
            object.__setattr__(self, "scale", self.q.size(-1) ** -0.5)

    @property
    def heads(self) -> int:
        return self.q.size(1)

    def on(self, pairs: PairLayout) -> Tensor:
        return pairs.dots(self.q, self.k, self.scale)

    def times(self, factor: Tensor | float) -> "DotProduct":
        return replace(self, q=self.q * factor)

    def split(self, maps: int) -> list["DotProduct"]:
        parts = zip(self.q.chunk(maps, dim=1), self.k.chunk(maps, dim=1), strict=True)
        return [replace(self, q=q, k=k) for q, k in parts]

    def pull_back(self, block: PairBlock, grad: Tensor, grads: Sequence[Tensor]) -> None:
        """Add the gradients of the tensors, given that of a block's scores ``[B, H, R, C]``."""
        q, k = block.ends(self.q, self.k)
        block.add_to_targets(grads[0], (grad @ k).transpose(1, 2), self.scale)
        block.add_to_sources(grads[1], (grad.transpose(-1, -2) @ q).transpose(1, 2), self.scale)


@dataclass(frozen=True)
class LazyDotProduct(Scores):
    """Dot products whose queries are made when the factor on them is known.

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

    def on(self, pairs: PairLayout) -> Tensor:
        return self.compute().on(pairs)

    def times(self, factor: Tensor | float) -> "LazyDotProduct":
        return replace(self, factor=factor if self.factor is None else self.factor * factor)

    def compute(self) -> DotProduct:
        return DotProduct(self.queries(self.factor), self.k)


class DotProductScore(Score):
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

    dot_products = True

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
