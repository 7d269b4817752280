"""Some of the graphs, each changed when it is fetched."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch.utils.data import get_worker_info
from torch_geometric.data import Data


class View(Sequence[Data]):
    """Some of the graphs, each changed when it is fetched.

    What changes an item may work in place: it gets a clone. In a worker process the numbers that
    it draws depend on the loader's seed, the epoch and the item alone, not on which worker fetches
    it and what that worker fetched before.

    Args:
        graphs: all of them.
        prepare: from a graph to the item.
        rows: which of them, in order; all if left out.
    """

    def __init__(
        self,
        graphs: Sequence[Data],
        prepare: Callable[[Data], Data],
        rows: Sequence[int] | None = None,
    ) -> None:
        self.graphs, self.prepare = graphs, prepare
        self.rows = range(len(graphs)) if rows is None else rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Data:
        row, worker = self.rows[index], get_worker_info()
        if worker is not None:  # the main process draws from the state that a checkpoint keeps
            _seed_all(mixed_seed(worker.seed - worker.id, row))  # the first of all workers alike
        return self.prepare(self.graphs[row].clone())

    def part(self, rows: Sequence[int]) -> View:
        """Some of the items."""
        return View(self.graphs, self.prepare, [self.rows[row] for row in rows])


def mixed_seed(*numbers: int) -> int:
    """One seed of several numbers, none negative."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


def _seed_all(seed: int) -> None:
    """Seed whatever a transform may draw from."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
