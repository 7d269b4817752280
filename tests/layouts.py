"""The two layouts of numbers on pairs, for tests that state what holds in both."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from gia.attention import Scope
from gia.graph.pair_layout import PairLayout


def layouts(
    scope: Scope, *matrices: Tensor
) -> Iterator[tuple[PairLayout, list[Tensor], Callable[[Tensor], Tensor]]]:
    """Matrices ``[H, L, L]`` over the pairs of a scope of one graph, in each layout.

    Yields:
        The pairs, the matrices on them, and what makes a matrix of a result: 0 where the scope has
        no pair.
    """
    heads = matrices[0].size(0)
    (block,) = scope.blocks(heads, whole=True)

    def from_block(values: Tensor) -> Tensor:
        return block.fill(values.expand(block.shape), 0)[0]

    yield block, [matrix.unsqueeze(0) for matrix in matrices], from_block
    pairs = scope.pairs(heads)
    source, target = pairs.edge_index

    def from_edges(values: Tensor) -> Tensor:
        matrix = values.new_zeros(matrices[0].shape)
        place = pairs.head, target[pairs.edge], source[pairs.edge]
        return matrix.index_put(place, values)

    yield pairs, [pairs.from_edges(matrix[:, target, source].T) for matrix in matrices], from_edges


def one_graph(length: int) -> Tensor:
    return torch.tensor([0, length])
