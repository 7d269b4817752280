"""Which items make up a batch: so many graphs, or so many tokens, for data of any kind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor
from torch_geometric.data import Data

from gia.data.loader import SequenceLoader
from gia.data.sampler import BatchSampler, GraphBatchSampler, TokenBatchSampler

BATCH_SIZE = 64  # where neither graphs nor tokens of a batch are given


class Batcher:
    """Loaders of batches that are counted in graphs or in tokens.

    Args:
        batch_size: the most graphs of a batch; 64 where ``tokens_per_batch`` is not given either.
        tokens_per_batch: the most nodes of a batch, counted as if padded, instead.
        num_workers: processes that fetch batches.
        seed: of the batches.

    Raises:
        ValueError: if an option is out of range, or both are given.
    """

    def __init__(
        self,
        batch_size: int | None = None,
        tokens_per_batch: int | None = None,
        num_workers: int = 0,
        seed: int = 0,
    ) -> None:
        if batch_size is not None and tokens_per_batch is not None:
            raise ValueError(
                f"data.batch_size={batch_size} and data.tokens_per_batch={tokens_per_batch}: a "
                "batch is counted in graphs or in tokens; make one of them null"
            )
        self.batch_size, self.tokens_per_batch = batch_size, tokens_per_batch
        self.num_workers, self.seed = num_workers, seed
        self.sampler([])  # which looks at the options

    def sampler(
        self, graphs: Sequence[Data], chances: Tensor | None = None, **kwargs: Any
    ) -> BatchSampler:
        """Which of these graphs make up a batch; the keywords are of :class:`BatchSampler`.

        ``chances`` are of :class:`GraphBatchSampler`, for batches that are counted in graphs.

        Raises:
            ValueError: if a graph is larger than the budget of tokens.
        """
        if self.tokens_per_batch is None:
            size = BATCH_SIZE if self.batch_size is None else self.batch_size
            return GraphBatchSampler(len(graphs), size, chances=chances, **kwargs)
        lengths = [data.num_nodes for data in graphs]
        return TokenBatchSampler(lengths, self.tokens_per_batch, **kwargs)

    def loader(
        self, graphs: Sequence[Data], shuffle: bool = False, **kwargs: Any
    ) -> SequenceLoader:
        """Batches of these graphs.

        Args:
            graphs: the items.
            shuffle: drawn anew each epoch, or always the same.
            **kwargs: of :meth:`sampler`, such as ``rank`` and ``world_size``.
        """
        sampler = self.sampler(graphs, shuffle=shuffle, seed=self.seed, **kwargs)
        return SequenceLoader(graphs, sampler, num_workers=self.num_workers)
