"""A PyG loader that can be stopped in the middle of an epoch and continued from there."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch_geometric.data import Batch, Data
from torch_geometric.loader import DataLoader

from gia.data.sampler import BatchSampler
from gia.data.view import mixed_seed


class SequenceLoader(DataLoader):
    """PyG's ``DataLoader`` over a :class:`BatchSampler`, with a position to save and load.

    It has the ``state_dict`` and ``load_state_dict`` by which Lightning recognises a loader that
    can resume. Its batches carry the list ``num_nodes_per_graph``; one that counts for nothing,
    since another process has it too, is ``repeated``.

    Args:
        dataset: the graphs.
        batch_sampler: which of them make up a batch.
        **kwargs: of PyG's ``DataLoader``, such as ``num_workers``.
    """

    def __init__(self, dataset: Sequence[Data], batch_sampler: BatchSampler, **kwargs: Any) -> None:
        # A generator of its own: PyTorch draws a seed for the workers of each iteration, and from
        # the global one a resumed run would draw once more than an uninterrupted one.
        kwargs.setdefault("generator", torch.Generator())  # Lightning makes a loader out of another
        super().__init__(dataset, batch_sampler=batch_sampler, **kwargs)
        self._epoch, self._batches = batch_sampler.epoch, 0
        self._resuming = False

    def __iter__(self) -> Iterator[Batch]:
        # A generator, so that workers start fetching only after Lightning has set the epoch.
        sampler = self.batch_sampler
        # A position belongs to its epoch: if another one begins, it begins at its first batch.
        resumes = self._resuming and self._epoch == sampler.epoch
        self._epoch, self._resuming = sampler.epoch, False
        self._batches = sampler.start = self._batches if resumes else 0
        self.generator.manual_seed(mixed_seed(sampler.seed, sampler.epoch))
        # Lightning puts something around a sampler to predict by, which has its attributes alone.
        repeats = getattr(sampler, "repeats", None)
        for batch in super().__iter__():
            if repeats is not None and repeats(self._batches):
                batch.repeated = True
            self._batches += 1  # counted when handed over, not when a worker prefetched it
            # Noted while ptr is still on the host, so that no layer has to ask a GPU for it.
            batch.num_nodes_per_graph = batch.ptr.diff().tolist()
            yield batch

    def state_dict(self) -> dict[str, int]:
        """The epoch, and how many of its batches have been handed out."""
        return {"epoch": self._epoch, "batches": self._batches}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Let the next iteration continue from a saved position.

        A position after the last batch is the beginning of the next epoch.
        """
        self._epoch, self._batches = state_dict["epoch"], state_dict["batches"]
        if self._batches >= len(self):
            self._epoch, self._batches = self._epoch + 1, 0
        self.batch_sampler.set_epoch(self._epoch)
        self._resuming = True
