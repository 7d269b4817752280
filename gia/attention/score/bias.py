"""What is added to scores: distances along the sequence, hops, attributes of given edges."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from gia.attention.scope import InputEdges, Scope
from gia.attention.score.base import Score, Scores
from gia.graph.hop_counts import HopCounts
from gia.graph.pair_layout import PairLayout
from gia.typing import OptTensor


@dataclass(frozen=True)
class SumOfScores(Scores):
    """A score and its biases, added up."""

    added: tuple[Scores, ...]

    @property
    def heads(self) -> int:
        return self.added[0].heads

    @property
    def parts(self) -> tuple[Scores, ...]:
        return self.added

    def on(self, pairs: PairLayout) -> Tensor:
        first, *others = self.added
        total = first.on(pairs)
        for part in others:
            total = part.added_to(total, pairs)
        return total

    def times(self, factor: Tensor | float) -> "SumOfScores":
        return SumOfScores(tuple(part.times(factor) for part in self.added))

    def compute(self) -> "SumOfScores":
        return SumOfScores(tuple(part.compute() for part in self.added))

    def split(self, maps: int) -> list["SumOfScores"]:
        first, *biases = self.added
        return [SumOfScores((part, *biases)) for part in first.split(maps)]  # the same for each


@dataclass(frozen=True)
class Distances(Scores):
    """``-slope * |i - j|`` with a slope for each head, ``[H]``."""

    slope: Tensor

    def on(self, pairs: PairLayout) -> Tensor:
        distance = (pairs.target_position - pairs.source_position).abs()
        return -pairs.per_head(self.slope) * distance

    def times(self, factor: Tensor | float) -> "Distances":
        return Distances(self.slope * factor)


@dataclass(frozen=True)
class EdgeScores(Scores):
    """A number for each of the scope's given edges and head, and 0 for other pairs.

    Args:
        value (Tensor): The numbers, ``[E, H]``, or those of each kind of edge.
        edges (InputEdges): The edges.
        of_kinds (bool): Whether they are of kinds: factors are then multiplied with a few numbers.
    """

    value: Tensor
    edges: InputEdges
    of_kinds: bool = False

    def on(self, pairs: PairLayout) -> Tensor:
        return pairs.of_edges(self.compute().value, self.edges)

    def added_to(self, total: Tensor, pairs: PairLayout) -> Tensor:
        return pairs.of_edges(self.compute().value, self.edges, total)

    def compute(self) -> "EdgeScores":
        if not self.of_kinds:
            return self
        return EdgeScores(self.value.index_select(0, self.edges.kind), self.edges)

    def times(self, factor: Tensor | float) -> "EdgeScores":
        return replace(self, value=self.value * factor)


@dataclass(frozen=True)
class HopScores(Scores):
    """A number for each head and number of hops between source and target.

    Shapes:
        - **value:** ``[K, H]``
    """

    value: Tensor
    hops: HopCounts

    def on(self, pairs: PairLayout) -> Tensor:
        return pairs.of_classes(self.value, self.hops)

    def added_to(self, total: Tensor, pairs: PairLayout) -> Tensor:
        return pairs.of_classes(self.value.to(total.dtype), self.hops, total)

    def times(self, factor: Tensor | float) -> "HopScores":
        return replace(self, value=self.value * factor)


class DistanceBias(nn.Module):
    r"""The bias :math:`-m_h |i - j|` with a trainable slope for each head.

    `"Train Short, Test Long" <https://arxiv.org/abs/2108.12409>`_ (ALiBi), eq. 1 and its geometric
    start, :math:`m_h = 2^{-8h/H}`; there the slopes are fixed. It depends on the pair alone, not on
    the length of the sequence.

    Args:
        heads (int): Heads H.
        train_slope (bool): Whether the slopes are trained; they may change their sign.
    """

    def __init__(self, heads: int, *, train_slope: bool = True):
        super().__init__()
        self.slope = nn.Parameter(torch.empty(heads), requires_grad=train_slope)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        heads = self.slope.numel()
        with torch.no_grad():
            head = torch.arange(1, heads + 1, device=self.slope.device)
            self.slope.copy_(2.0 ** (-8.0 * head / heads))

    def forward(self, scope: Scope) -> Distances:
        return Distances(self.slope)


class EdgeBias(nn.Module):
    r"""The bias :math:`W \mathbf{e}_{ij}` on pairs that a given edge with attributes joins.

    Args:
        edge_dim (int): Numbers F that are known of an edge.
        heads (int): Heads H.

    Shapes:
        - **scope.given.edge_attr:** ``[E, F]``, or ``[E]`` for one number; those of parallel edges
          add up

    Raises:
        ValueError: If the data has no edges with attributes, or others than ``edge_dim``.
    """

    def __init__(self, edge_dim: int, heads: int):
        super().__init__()
        self.proj = nn.Linear(edge_dim, heads, bias=False)

    def forward(self, scope: Scope) -> EdgeScores:
        attr = scope.given_attr(self.proj.in_features, self.proj.weight.dtype)
        if attr is None:
            raise ValueError("the edge bias needs edges with attributes: edge_index and edge_attr")
        edges = scope.given_edges()
        return EdgeScores(self.proj(attr), edges, of_kinds=edges.kind is not None)


class HopBias(nn.Module):
    r"""The bias :math:`b_{\phi(i, j)}` by the edges on the shortest path from source to target.

    `"Do Transformers Really Perform Bad for Graph Representation?"
    <https://arxiv.org/abs/2106.05234>`_, eq. 6, with a number for each head. It
    begins at ``-slope`` for each hop: with 0, a model with it begins as one without; well above 0,
    every head begins by seeing its own node and its neighbours, and what is many hops away or not
    joined is as good as out of scope.

    Args:
        heads (int): Heads H.
        max_hops (int): The most hops that are told apart; what is farther, or not joined, has one
            number more.
        slope (float): What every hop takes from a score at the start, 0 or more.
        ordered (bool): Whether nodes stand in a sequence, where what is far along the chain may be
            as near as any: then nothing is taken.

    Shapes:
        - **scope.given.edge_index:** ``[2, E]``

    Raises:
        ValueError: If ``max_hops`` is no number from 1 to 253, ``slope`` is below 0 or no number,
            or the data has no edges.
    """

    def __init__(self, heads: int, *, max_hops: int = 8, slope: float = 0.0, ordered: bool = False):
        super().__init__()
        if not 1 <= max_hops <= 253:  # a byte holds one more
            raise ValueError(f"max_hops must be from 1 to 253, got {max_hops}")
        if not 0 <= slope < math.inf:
            raise ValueError(f"slope must be a number of at least 0, got {slope}")
        self.max_hops = max_hops
        self.slope = 0.0 if ordered else slope
        self.value = nn.Parameter(torch.empty(max_hops + 2, heads))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        with torch.no_grad():
            hops = torch.arange(self.max_hops + 2, device=self.value.device)
            self.value.copy_(-self.slope * hops.unsqueeze(1))

    def forward(self, scope: Scope) -> HopScores:
        return HopScores(self.value, scope.hop_counts(self.max_hops))


class BiasedScore(Score):
    """A score and what is added to it.

    Args:
        score (nn.Module): ``score(x, rotary, scope)``.
        biases (list of nn.Module): ``bias(scope)`` each.

    Shapes:
        - **x:** ``[N, D]``
    """

    biased = True

    def __init__(self, *, score: nn.Module, biases: Sequence[nn.Module]):
        super().__init__()
        self.score = score
        self.biases = nn.ModuleList(biases)
        self.maps = getattr(score, "maps", 1)
        self.dot_products = getattr(score, "dot_products", False)

    def forward(self, x: Tensor, rotary: OptTensor, scope: Scope) -> SumOfScores:
        biases = (bias(scope) for bias in self.biases)
        return SumOfScores((*self.score(x, rotary, scope).parts, *biases))
