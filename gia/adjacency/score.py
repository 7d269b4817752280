"""How well a source answers a target: the scores from which attention's weights are made."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn.functional import linear

from gia.adjacency.rotary import rotate
from gia.typing import OptTensor


@dataclass(frozen=True)
class DotProduct:
    r"""Scores :math:`S[i, j] = \mathbf{q}_i \cdot \mathbf{k}_j / \sqrt{d}`, not computed yet.

    Shapes:
        - **q**, **k:** ``[N, H, d]``
    """

    q: Tensor
    k: Tensor

    @property
    def scale(self) -> float:
        return self.q.size(-1) ** -0.5

    def times(self, factor: Tensor | float) -> "DotProduct":
        """All scores times a factor (sharpening, temperature) that may be trained."""
        return DotProduct(self.q * factor, self.k)

    def compute(self) -> "DotProduct":
        """Itself: queries and keys are there."""
        return self

    def on(self, edge_index: Tensor) -> Tensor:
        """The scores of some pairs, ``[E, H]``."""
        source, target = edge_index
        return (self.q[target] * self.k[source]).sum(-1) * self.scale


@dataclass(frozen=True)
class LazyDotProduct:
    """Scores whose queries are made when the factor on them is known.

    A factor is taken into the projection of the queries, ``[D, D]``, where it costs next to nothing
    in time and no memory, and not into the queries, ``[N, D]``.

    Args:
        queries (callable): ``queries(factor)``, ``[N, H, d]``.
        k (Tensor): Keys, ``[N, H, d]``.
        factor (Tensor or float): The factor so far.
    """

    queries: Callable[[Tensor | float], Tensor]
    k: Tensor
    factor: Tensor | float = 1.0

    def times(self, factor: Tensor | float) -> "LazyDotProduct":
        """All scores times a factor (sharpening, temperature) that may be trained."""
        return LazyDotProduct(self.queries, self.k, self.factor * factor)

    def compute(self) -> DotProduct:
        """The scores with their queries."""
        return DotProduct(self.queries(self.factor), self.k)


class DotProductScore(nn.Module):
    """Scaled dot products of queries and keys, turned by their positions if these are given.

    Args:
        in_channels (int): Channels D of a node.
        heads (int): Heads H; must divide ``in_channels``.
        bias (bool): Whether the projections have a bias.

    Shapes:
        - **x:** ``[N, D]``
        - **rotary:** cosines and sines of :class:`~gia.adjacency.Rotary`, ``[2, N, 1, d]``

    Raises:
        ValueError: If ``heads`` does not divide ``in_channels``.
    """

    def __init__(self, in_channels: int, heads: int, *, bias: bool = False):
        super().__init__()
        if heads < 1 or in_channels % heads:
            raise ValueError(
                f"the number of heads must divide the width: {heads} heads, {in_channels} wide"
            )
        self.heads = heads
        self.q_proj = nn.Linear(in_channels, in_channels, bias=bias)
        self.k_proj = nn.Linear(in_channels, in_channels, bias=bias)

    def forward(self, x: Tensor, rotary: OptTensor = None) -> LazyDotProduct:
        def queries(factor: Tensor | float) -> Tensor:
            if type(self.q_proj) is not nn.Linear:  # wrapped, as by an adapter: no plain weight
                return self._finish(self.q_proj(x) * factor, rotary)
            weight, bias = self.q_proj.weight * factor, self.q_proj.bias
            bias = bias if bias is None else bias * factor
            return self._finish(linear(x, weight, bias), rotary)

        return LazyDotProduct(queries, self._finish(self.k_proj(x), rotary))

    def _finish(self, projected: Tensor, rotary: OptTensor) -> Tensor:
        split = projected.unflatten(-1, (self.heads, -1))  # [N, H, d]
        return split if rotary is None else rotate(split, rotary)
