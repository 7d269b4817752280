"""Batches of graphs of similar length, within a budget of tokens."""

from collections.abc import Iterator, Sequence

import numpy as np
from torch.utils.data import Sampler

# Lengths within this ratio are mixed freely, so that the sequences a batch holds vary from epoch
# to epoch; it also bounds the padding that mixing costs.
MIXED = 1.04


class TokenBatchSampler(Sampler[list[int]]):
    """Batches whose padded size, longest length times number of graphs, stays within a budget.

    Graphs are sorted by length, in classes of nearly equal length, and cut into batches. The cuts
    depend on the lengths only, so every epoch has the same number of batches; which graphs of a
    class meet in a batch, and the order of the batches, are drawn anew from the seed and the epoch.

    Args:
        lengths: nodes of each graph.
        tokens_per_batch: the budget.
        shuffle: draw anew each epoch; otherwise always the same batches, longest first.
        seed: of the draws.
        rank: which of ``world_size`` processes this is; each takes every ``world_size``-th batch.
            A few batches are repeated where they do not share out evenly.
        world_size: number of processes.

    Attributes:
        start: batches to skip at the beginning of the next iteration, for resuming.

    Raises:
        ValueError: if the longest graph exceeds the budget.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        tokens_per_batch: int,
        *,
        shuffle: bool = False,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.lengths = np.asarray(lengths, dtype=np.int64)
        longest = int(self.lengths.max(initial=0))
        if longest > tokens_per_batch:
            raise ValueError(
                f"data.tokens_per_batch={tokens_per_batch} is below the longest sequence of "
                f"{longest} tokens: raise it to {longest} or lower data.max_length"
            )
        self.tokens_per_batch = tokens_per_batch
        self.shuffle, self.seed = shuffle, seed
        self.rank, self.world_size = rank, world_size
        self.start = 0
        self.epoch = 0
        self._class = _length_classes(self.lengths)
        self._cuts = self._cut(np.sort(self._class)[::-1])

    @property
    def sampler(self) -> "TokenBatchSampler":
        """Itself: Lightning calls ``set_epoch`` on ``batch_sampler.sampler``."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """The epoch from which the next iteration draws."""
        self.epoch = epoch

    def padding_waste(self) -> float:
        """The share of an epoch's padded tokens that would be padding."""
        batches = [self.lengths[batch] for batch in self._batches()]
        padded = sum(int(batch.max()) * len(batch) for batch in batches)
        return 1 - sum(int(batch.sum()) for batch in batches) / padded if padded else 0.0

    def __len__(self) -> int:
        return -(-len(self._cuts) // self.world_size)

    def __iter__(self) -> Iterator[list[int]]:
        # A generator: the epoch is read when the first batch is asked for, not before.
        batches = self._batches()
        own = [batches[i % len(batches)] for i in range(self.rank, self._total(), self.world_size)]
        start, self.start = self.start, 0
        for batch in own[start:]:
            yield batch.tolist()

    def _total(self) -> int:
        return len(self) * self.world_size

    def _batches(self) -> list[np.ndarray]:
        if not self.shuffle:
            order = np.lexsort((-self.lengths, -self._class))
            return np.split(order, self._cuts[1:]) if len(order) else []
        draw = np.random.default_rng([self.seed, self.epoch])
        order = np.lexsort((draw.random(len(self.lengths)), -self._class))
        batches = np.split(order, self._cuts[1:]) if len(order) else []
        return [batches[i] for i in draw.permutation(len(batches))]

    def _cut(self, longest_first: np.ndarray) -> list[int]:
        """Where each batch begins among the lengths, sorted from the longest."""
        cuts, position = [], 0
        while position < len(longest_first):
            cuts.append(position)
            position += self.tokens_per_batch // int(longest_first[position])
        return cuts


def _length_classes(lengths: np.ndarray) -> np.ndarray:
    """For each graph the greatest length within its class of nearly equal lengths."""
    grid = np.ceil(np.log(np.maximum(lengths, 1)) / np.log(MIXED)).astype(np.int64)
    longest = np.zeros(int(grid.max(initial=0)) + 1, dtype=np.int64)
    np.maximum.at(longest, grid, lengths)
    return longest[grid]
