"""The dense form: a weight for every pair of every graph."""

from collections.abc import Sequence

import torch
from torch import Tensor

from gia.attention.scope import Scope
from gia.attention.scope_max import scope_argmax, scope_max
from gia.graph.base import Adjacency, take
from gia.graph.edges import EdgeAdjacency
from gia.graph.pair_block import PairBlock


class DenseAdjacency(Adjacency):
    """A graph held as matrices ``[B, H, L, L]``: memory grows with the square of the length.

    Args:
        blocks (list of PairBlock): The pairs of each bucket of the scope's padding.
        weights (list of Tensor): Their weights, 0 where there is no edge.
        keep (list of Tensor, optional): Which of them are edges, bool; None: all that the scope
            allows.
        scope (Scope): The scope.
        heads (int): Heads H.
    """

    def __init__(
        self,
        blocks: Sequence[PairBlock],
        weights: Sequence[Tensor],
        keep: Sequence[Tensor] | None,
        scope: Scope,
        heads: int,
    ):
        self.blocks, self.weights, self.keep = blocks, weights, keep
        self.scope, self.heads = scope, heads
        self.num_nodes = scope.num_nodes

    def sum(self, x: Tensor) -> Tensor:
        if not self.weights:
            return x
        if x.size(1) != self.heads:
            raise ValueError(
                f"the graph has {self.heads} heads, but the features have {x.size(1)}: give the "
                "layer as many heads"
            )
        dtype, padding = torch.promote_types(self.weights[0].dtype, x.dtype), self.scope.padding
        with torch.autocast(x.device.type, enabled=False):
            padded = zip(self.weights, padding.pad_heads(x), strict=True)
            parts = [weight.to(dtype) @ part.to(dtype) for weight, (part,) in padded]
        return padding.unpad_heads(parts).to(x.dtype)

    def max(self, x: Tensor) -> Tensor:
        # Where every pair of the scope is an edge, no edge needs to be looked at.
        return scope_max(x, self.scope) if self._is_whole else take(x, self.argmax(x))

    def argmax(self, x: Tensor) -> Tensor:
        if self._is_whole:
            return scope_argmax(x, self.scope)
        return self.to_edges().argmax(x)

    def degree(self) -> Tensor:
        return self._of_rows([weight.abs().sum(-1) for weight in self.weights])

    def count(self) -> Tensor:
        if self.keep is None:
            count = self.scope.count().unsqueeze(1)
            return count.to(self.weights[0].dtype if self.weights else torch.get_default_dtype())
        return self._of_rows([keep.sum(-1).to(self.weights[0].dtype) for keep in self.keep])

    def in_precision(self, dtype: torch.dtype) -> "DenseAdjacency":
        weights = [weight.to(torch.promote_types(weight.dtype, dtype)) for weight in self.weights]
        return DenseAdjacency(self.blocks, weights, self.keep, self.scope, self.heads)

    def to_edges(self) -> EdgeAdjacency:
        rows, columns, weights = [], [], []
        for number, (block, weight) in enumerate(zip(self.blocks, self.weights, strict=True)):
            edges = block.edges(None if self.keep is None else self.keep[number])
            row, column = block.places(edges)
            rows.append(row)
            columns.append(column)
            weights.append(weight.expand(block.shape).flatten()[edges])
        return edges_of_heads(rows, columns, weights, self.scope, self.heads)

    @property
    def _is_whole(self) -> bool:
        return self.keep is None and self.scope.fusable

    def _of_rows(self, parts: list[Tensor]) -> Tensor:
        """``[B, H, L]`` each to ``[N, H]``."""
        if not parts:
            return self.scope.ptr.new_zeros(0, self.heads, dtype=torch.get_default_dtype())
        return self.scope.padding.unpad([part.transpose(1, 2) for part in parts])


def edges_of_heads(
    rows: Sequence[Tensor],
    columns: Sequence[Tensor],
    weights: Sequence[Tensor],
    scope: Scope,
    heads: int,
) -> EdgeAdjacency:
    """The edge form of entries of the sparse matrix ``[N H, N H]``, in any order."""
    empty = scope.ptr.new_empty(0)
    row = torch.cat([*rows]) if rows else empty
    column = torch.cat([*columns]) if columns else empty
    weight = torch.cat([*weights]) if weights else empty.to(torch.get_default_dtype())
    order = (row * scope.num_nodes * heads + column).argsort()
    row, column = row[order], column[order]
    return EdgeAdjacency(
        torch.stack([column // heads, row // heads]),
        weight[order],
        num_nodes=scope.num_nodes,
        head=row % heads,
        num_heads=heads,
    )
