"""How many edges apart the nodes of a graph are."""

from collections.abc import Iterable
from functools import cached_property

import torch
from torch import Tensor

from gia.graph.padding import Padding, send
from gia.graph.pair_block import PairBlock
from gia.ops.csr import CSR

MOST_PAIRS = 2**30  # of nodes; a byte is held for each


class HopCounts:
    """Edges on the shortest path from a source to a target, for all pairs of nodes of each graph.

    A *class* of pairs is what has the same number: 0 a node and itself, 1 to ``max_hops`` what is
    so far apart, ``max_hops + 1`` what is farther apart or not joined at all. Made once for a
    batch.

    Args:
        edge_index (Tensor): The edges, ``[2, E]``, each within a graph.
        padding (Padding): Its graphs, those of similar size side by side.
        max_hops (int): The most hops that are told apart.

    Raises:
        ValueError: If there are too many pairs of nodes to hold a byte for each.
    """

    def __init__(self, edge_index: Tensor, padding: Padding, max_hops: int):
        self.max_hops, self._edge_index, self._row = max_hops, edge_index, padding.row
        self._shapes = [bucket.mask.shape for bucket in padding.buckets]
        pairs = [graphs * length**2 for graphs, length in self._shapes]
        if sum(pairs) > MOST_PAIRS:
            raise ValueError(
                f"hops are counted for all {sum(pairs):,} pairs of nodes, which are too many: take "
                "smaller batches, or a score without a HopBias"
            )
        lengths = _whole(length for _, length in self._shapes)
        rows = _whole(graphs * length for graphs, length in self._shapes)
        each = _whole(pairs)
        numbers = torch.stack([lengths, rows.cumsum(0) - rows, each.cumsum(0) - each])
        # Of each bucket: its length, its first row, its first pair.
        self._length, self._first_row, self._first_pair = send(numbers, edge_index.device)
        self._first_rows = numbers[1].tolist()
        self._pairs = pairs
        self._blocks: dict[int, tuple[PairBlock, Tensor]] = {}

    @property
    def classes(self) -> int:
        """Classes K that there are."""
        return self.max_hops + 2

    def of_edges(self, edge_index: Tensor) -> Tensor:
        """The classes of some pairs, ``[2, E']`` to ``[E']``."""
        return self._flat[self._place(edge_index)].long()

    def in_block(self, block: PairBlock, dtype: torch.dtype) -> Tensor:
        """The classes of a block's pairs, one hot, ``[B, K, R C]``.

        A product with it, and its gradient, are several times faster than looking every pair up.
        What it says of rows and columns without a node is to be masked.
        """
        known = self._blocks.get(id(block))
        if known is None or known[1].dtype != dtype:
            known = block, self._one_hot(block, dtype)
            if block.whole is not None:  # all layers share it
                self._blocks[id(block)] = known
        return known[1]

    def _one_hot(self, block: PairBlock, dtype: torch.dtype) -> Tensor:
        hops = self._of_buckets[block.number][block.graphs, block.rows, : block.columns]
        every = torch.arange(self.classes, dtype=hops.dtype, device=hops.device)
        return (hops.flatten(1).unsqueeze(1) == every.view(-1, 1)).to(dtype)

    @cached_property
    def _of_buckets(self) -> list[Tensor]:
        """The class of every pair of rows of each bucket's graphs, ``[B, L, L]``."""
        ends = self._edge_index if self._row is None else self._row[self._edge_index]
        hops = []
        for first, (graphs, length) in zip(self._first_rows, self._shapes, strict=True):
            rows = graphs * length
            source, target = ends[:, (ends[0] >= first) & (ends[0] < first + rows)] - first
            step = CSR(target, source, (rows, rows))
            hops.append(_count(step, length, self.max_hops).view(graphs, length, length))
        return hops

    @cached_property
    def _flat(self) -> Tensor:
        parts = [part.flatten() for part in self._of_buckets]
        return torch.cat(parts) if parts else self._edge_index.new_zeros(0)

    def _place(self, edge_index: Tensor) -> Tensor:
        """Where some pairs stand among all, bucket after bucket, targets before sources."""
        source, target = edge_index if self._row is None else self._row[edge_index]
        bucket = torch.searchsorted(self._first_row, target, right=True) - 1
        length, first = self._length[bucket], self._first_row[bucket]
        return self._first_pair[bucket] + (target - first) * length + (source - first) % length


def _count(step: CSR, length: int, max_hops: int) -> Tensor:
    """Steps to each row from each of its graph's rows, ``[B L, L]``; one more than the most."""
    near = torch.eye(length, device=step.col.device).repeat(step.shape[0] // length, 1)
    hops = 1 - near
    for _ in range(max_hops):  # a pair counts once for each number of steps that do not join it
        near = (near + step.multiply(None, near)).clamp_(max=1)
        hops += 1 - near
    return hops.to(torch.uint8)


def _whole(numbers: Iterable[int]) -> Tensor:
    return torch.tensor(list(numbers), dtype=torch.long, device="cpu")
