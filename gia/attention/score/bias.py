"""What is added to scores: distances along the sequence, attributes of given edges."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from gia.attention.scope import Scope
from gia.attention.score.base import Scores
from gia.graph.csr_pairs import CSRPairs
from gia.graph.pair_layout import PairBlock
from gia.typing import OptTensor


@dataclass(frozen=True)
class SumOfScores(Scores):
    """Several scores of the same pairs, added up."""

    parts: tuple[Scores, ...]

    @property
    def heads(self) -> int:
        return self.parts[0].heads

    @property
    def tensors(self) -> list[Tensor]:
        return [tensor for part in self.parts for tensor in part.tensors]

    def with_tensors(self, tensors: Sequence[Tensor]) -> "SumOfScores":
        left = list(tensors)
        parts = []
        for part in self.parts:
            number = len(part.tensors)
            parts.append(part.with_tensors(left[:number]))
            left = left[number:]
        return SumOfScores(tuple(parts))

    def times(self, factor: Tensor | float) -> "SumOfScores":
        return SumOfScores(tuple(part.times(factor) for part in self.parts))

    def compute(self) -> "SumOfScores":
        return SumOfScores(tuple(part.compute() for part in self.parts))

    def split(self, maps: int) -> list["SumOfScores"]:
        first, *biases = self.parts
        return [SumOfScores((part, *biases)) for part in first.split(maps)]  # the same for each

    def block(self, block: PairBlock) -> Tensor:
        first, *others = self.parts
        total = first.block(block)
        for part in others:
            total = part.added_to(total, block)
        return total

    def on(self, pairs: CSRPairs) -> Tensor:
        return sum(part.on(pairs) for part in self.parts)


@dataclass(frozen=True)
class Distances(Scores):
    """``-slope * |i - j|`` with a slope for each head, ``[H]``."""

    slope: Tensor

    @property
    def heads(self) -> int:
        return self.slope.numel()

    @property
    def tensors(self) -> list[Tensor]:
        return [self.slope]

    def with_tensors(self, tensors: Sequence[Tensor]) -> "Distances":
        return Distances(*tensors)

    def times(self, factor: Tensor | float) -> "Distances":
        return Distances(self.slope * factor)

    def block(self, block: PairBlock) -> Tensor:
        return self._scores(block).unsqueeze(0)

    def on(self, pairs: CSRPairs) -> Tensor:
        return self._scores(pairs)

    def _scores(self, pairs: PairBlock | CSRPairs) -> Tensor:
        distance = (pairs.target_position - pairs.source_position).abs()
        return -pairs.per_head(self.slope) * distance


@dataclass(frozen=True)
class GivenScores(Scores):
    """A number for each of the scope's given edges and head, ``[E, H]``, and 0 for other pairs."""

    value: Tensor
    scope: Scope

    @property
    def heads(self) -> int:
        return self.value.size(1)

    @property
    def tensors(self) -> list[Tensor]:
        return [self.value]

    def with_tensors(self, tensors: Sequence[Tensor]) -> "GivenScores":
        return replace(self, value=tensors[0])

    def times(self, factor: Tensor | float) -> "GivenScores":
        return replace(self, value=self.value * factor)

    def block(self, block: PairBlock) -> Tensor:
        return self.added_to(self.value.new_zeros(block.shape), block)

    def added_to(self, total: Tensor, block: PairBlock) -> Tensor:
        edge_index = self.scope.given_edges().edge_index
        edge, place = block.places_of(edge_index, self.scope.first_node)
        value = self.value.index_select(0, edge).to(total.dtype)
        flat = total.expand(block.shape).contiguous().view(-1)
        return flat.index_add_(0, place.flatten(), value.flatten()).view(block.shape)

    def on(self, pairs: CSRPairs) -> Tensor:
        return pairs.from_edges(self.scope.given_edges().find(self.value, pairs.edge_index))


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

    def forward(self, scope: Scope) -> GivenScores:
        attr = scope.given_attr(self.proj.in_features, self.proj.weight.dtype)
        if attr is None:
            raise ValueError("the edge bias needs edges with attributes: edge_index and edge_attr")
        value, kind = self.proj(attr), scope.given_edges().kind
        return GivenScores(value if kind is None else value.index_select(0, kind), scope)


class BiasedScore(nn.Module):
    """A score and what is added to it.

    Args:
        score (nn.Module): ``score(x, rotary, scope)``.
        biases (list of nn.Module): ``bias(scope)`` each.

    Shapes:
        - **x:** ``[N, D]``
    """

    def __init__(self, *, score: nn.Module, biases: Sequence[nn.Module]):
        super().__init__()
        self.score = score
        self.biases = nn.ModuleList(biases)
        self.maps = getattr(score, "maps", 1)

    def forward(self, x: Tensor, rotary: OptTensor, scope: Scope) -> SumOfScores:
        added = (bias(scope) for bias in self.biases)
        return SumOfScores((self.score(x, rotary, scope), *added))
