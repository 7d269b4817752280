"""Batches of graphs: of similar length within a budget of tokens, or so many at a time."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Sampler, WeightedRandomSampler

# Lengths within this ratio are mixed freely, so that the sequences a batch holds vary from epoch
# to epoch; it also bounds the padding that mixing costs.
MIXED = 1.04


class BatchSampler(Sampler[list[int]]):
    """Base of the samplers: every epoch has as many batches, and can be entered in its middle.

    Args:
        shuffle: draw anew each epoch, from the seed and the epoch.
        seed: of the draws.
        rank: which of ``world_size`` processes this is; each takes every ``world_size``-th batch.
            Where they do not share out evenly, the last processes get a batch again that counts
            for nothing, see :meth:`repeats`.
        world_size: number of processes.

    Attributes:
        start: batches to skip at the beginning of the next iteration, for resuming.
    """

    def __init__(
        self, *, shuffle: bool = False, seed: int = 0, rank: int = 0, world_size: int = 1
    ) -> None:
        self.shuffle, self.seed = shuffle, seed
        self.rank, self.world_size = rank, world_size
        self.start = 0
        self.epoch = 0

    @property
    def sampler(self) -> "BatchSampler":
        """Itself: Lightning calls ``set_epoch`` on ``batch_sampler.sampler``."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """The epoch from which the next iteration draws."""
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-self._shared_number() // self.world_size)

    def repeats(self, place: int) -> bool:
        """Whether a batch of this process, counted from 0, is another process's as well."""
        return place * self.world_size + self.rank >= self._shared_number()

    def __iter__(self) -> Iterator[list[int]]:
        # A generator: the epoch is read when the first batch is asked for, not before.
        batches = _at_least(self._shared_number(), self._batches())
        total = len(self) * self.world_size
        own = [batches[i % len(batches)] for i in range(self.rank, total, self.world_size)]
        start, self.start = self.start, 0
        for batch in own[start:]:
            yield batch.tolist()

    def _shared_number(self) -> int:
        """How many batches the processes share: each has one, if there are as many graphs."""
        return max(self._number(), min(self.world_size, self._graphs()))

    def _graphs(self) -> int:
        """How many graphs an epoch has."""
        raise NotImplementedError

    def _number(self) -> int:
        """How many batches the graphs make."""
        raise NotImplementedError

    def _batches(self) -> list[np.ndarray]:
        """The batches of the epoch."""
        raise NotImplementedError

    def _draw(self) -> np.random.Generator:
        return np.random.default_rng([self.seed, self.epoch])


class TokenBatchSampler(BatchSampler):
    """Batches whose padded size, longest length times number of graphs, stays within a budget.

    Graphs are sorted by length, in classes of nearly equal length, and cut into batches. The cuts
    depend on the lengths only, so every epoch has the same number of batches; which graphs of a
    class meet in a batch, and the order of the batches, are drawn anew from the seed and the epoch.

    Args:
        lengths: nodes of each graph.
        tokens_per_batch: the budget.
        **kwargs: of :class:`BatchSampler`. Without ``shuffle`` the longest come first.

    Raises:
        ValueError: if the longest graph exceeds the budget.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        tokens_per_batch: int,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.lengths = np.asarray(lengths, dtype=np.int64)
        longest = int(self.lengths.max(initial=0))
        if longest > tokens_per_batch:
            raise ValueError(
                f"data.tokens_per_batch={tokens_per_batch} is below the longest sequence of "
                f"{longest} tokens: raise it to {longest} or lower data.max_length"
            )
        self.tokens_per_batch = tokens_per_batch
        self._class = _length_classes(self.lengths)
        self._cuts = self._cut(np.sort(self._class)[::-1])

    def padding_waste(self) -> float:
        """The share of an epoch's padded tokens that would be padding."""
        batches = [self.lengths[batch] for batch in self._batches()]
        padded = sum(int(batch.max()) * len(batch) for batch in batches)
        return 1 - sum(int(batch.sum()) for batch in batches) / padded if padded else 0.0

    def _graphs(self) -> int:
        return len(self.lengths)

    def _number(self) -> int:
        return len(self._cuts)

    def _batches(self) -> list[np.ndarray]:
        if not self.shuffle:
            order = np.lexsort((-self.lengths, -self._class))
            return np.split(order, self._cuts[1:]) if len(order) else []
        draw = self._draw()
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


class GraphBatchSampler(BatchSampler):
    """Batches of nearly equal numbers of graphs.

    Their number is that of batches of ``batch_size``; the graphs are then shared out evenly among
    them, so that no batch is much smaller than the others.

    Args:
        num_graphs: how many graphs there are.
        batch_size: the most graphs of a batch.
        chances: how likely each graph is drawn, with repetition, where batches are drawn anew each
            epoch; None takes each once.
        **kwargs: of :class:`BatchSampler`. Without ``shuffle`` the graphs keep their order.

    Raises:
        ValueError: if ``batch_size`` is out of range.
    """

    def __init__(
        self, num_graphs: int, batch_size: int, chances: Tensor | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if batch_size < 1:
            raise ValueError(f"data.batch_size must be at least 1, got {batch_size}")
        self.num_graphs, self.batch_size, self.chances = num_graphs, batch_size, chances

    def _graphs(self) -> int:
        return self.num_graphs

    def _number(self) -> int:
        return -(-self.num_graphs // self.batch_size)

    def _batches(self) -> list[np.ndarray]:
        order = np.arange(self.num_graphs)
        if self.shuffle and self.chances is not None:
            seed = int(self._draw().integers(2**31))
            drawn = WeightedRandomSampler(
                self.chances, self.num_graphs, generator=torch.Generator().manual_seed(seed)
            )
            order = np.array(list(drawn), dtype=np.int64)
        elif self.shuffle:
            order = self._draw().permutation(self.num_graphs)
        return np.array_split(order, self._number()) if len(order) else []


def _at_least(number: int, batches: list[np.ndarray]) -> list[np.ndarray]:
    """So many batches of the same graphs, the largest of them cut in two where there are fewer."""
    batches = list(batches)
    while 0 < len(batches) < number:
        largest = max(range(len(batches)), key=lambda i: len(batches[i]))
        batches[largest : largest + 1] = np.array_split(batches[largest], 2)
    return batches


def _length_classes(lengths: np.ndarray) -> np.ndarray:
    """For each graph the greatest length within its class of nearly equal lengths."""
    grid = np.ceil(np.log(np.maximum(lengths, 1)) / np.log(MIXED)).astype(np.int64)
    longest = np.zeros(int(grid.max(initial=0)) + 1, dtype=np.int64)
    np.maximum.at(longest, grid, lengths)
    return longest[grid]
