"""What the datamodules share: parts, loaders, a position to resume from, the split on paper."""

from os import PathLike
from typing import Any

import torch
from pytorch_lightning import LightningDataModule
from torch_geometric.data import Data

from gia.data import report
from gia.data.loader import SequenceLoader
from gia.data.sampler import BatchSampler
from gia.data.splits import PARTS, Split


class BaseDataModule(LightningDataModule):
    """Graphs in three parts and their loaders; a subclass reads them and makes the batches.

    Args:
        split_seed: of the split, so that runs with different seeds are tested alike.
        seed: of the batches.
        num_workers: processes that fetch batches.

    Attributes:
        graphs: all graphs in the source's order, from :meth:`setup` on.
        texts: what the split compared, of each graph.
        split: where each of them goes.
    """

    def __init__(self, *, split_seed: int, seed: int, num_workers: int) -> None:
        super().__init__()
        self.split_seed, self.seed, self.num_workers = split_seed, seed, num_workers
        self.graphs: list[Data] = []
        self.texts: list[str] = []
        self.split: Split | None = None
        self._train_loader: SequenceLoader | None = None
        self._position: dict[str, int] = {}

    def setup(self, stage: str | None = None) -> None:
        """Read the graphs and split them; a second call changes nothing."""
        raise NotImplementedError

    def inputs(self) -> dict[str, Any]:
        """What a model must know of the data, as plain values."""
        raise NotImplementedError

    def summary(self) -> dict[str, Any]:
        """What was read, what was lost on the way and how it was split."""
        raise NotImplementedError

    @property
    def train_data(self) -> list[Data]:
        """The graphs to train on."""
        return self._part("train")

    @property
    def val_data(self) -> list[Data]:
        """The graphs to validate on."""
        return self._part("val")

    @property
    def test_data(self) -> list[Data]:
        """The graphs to test on."""
        return self._part("test")

    def train_dataloader(self) -> SequenceLoader:
        """Training batches, drawn anew each epoch."""
        self._train_loader = self._loader(self.train_data, shuffle=True)
        if self._position:
            self._train_loader.load_state_dict(self._position)
        return self._train_loader

    def val_dataloader(self) -> list[SequenceLoader]:
        """Validation batches, and as many training graphs, so that the gap is measured alike."""
        train, val = self.train_data, self.val_data
        draw = torch.randperm(len(train), generator=torch.Generator().manual_seed(self.split_seed))
        sample = [train[i] for i in draw[: len(val)].tolist()]
        return [self._loader(val), self._loader(sample)]

    def test_dataloader(self) -> SequenceLoader:
        """Test batches."""
        return self.loader("test")

    def loader(self, part: str) -> SequenceLoader:
        """Batches of one part, ``"train"``, ``"val"`` or ``"test"``, in a fixed order."""
        return self._loader(self._part(part))

    def state_dict(self) -> dict[str, int]:
        """Where training stands in its epoch, kept in checkpoints.

        Lightning keeps a loader's position itself, but loses it where a schedule asks for the
        number of steps, which makes the loader before the checkpoint is read.
        """
        return self._train_loader.state_dict() if self._train_loader is not None else {}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Let the training batches continue from a saved position, in its epoch alone."""
        self._position = state_dict

    def fingerprint(self) -> str:
        """A digest of the split, to tell whether a checkpoint was trained on this one."""
        return report.fingerprint(self)

    def write_splits(self, path: str | PathLike) -> None:
        """Write the split as a table: one line per graph with its part and group."""
        report.write_splits(self, path)

    def _sampler(self, graphs: list[Data], **kwargs: Any) -> BatchSampler:
        """Which of these graphs make up a batch; the keywords are of :class:`BatchSampler`."""
        raise NotImplementedError

    def _part(self, name: str) -> list[Data]:
        self.setup()
        chosen = torch.nonzero(self.split.part == PARTS.index(name)).flatten()
        return [self.graphs[i] for i in chosen.tolist()]

    def _loader(self, graphs: list[Data], shuffle: bool = False) -> SequenceLoader:
        ranks = {}
        if self.trainer is not None:
            ranks = {"rank": self.trainer.global_rank, "world_size": self.trainer.world_size}
        sampler = self._sampler(graphs, shuffle=shuffle, seed=self.seed, **ranks)
        return SequenceLoader(graphs, sampler, num_workers=self.num_workers)


def choose(option: str, value: str, choices: dict[str, Any]) -> Any:
    """The choice that a setting names.

    Raises:
        ValueError: if it names none, with the names that there are.
    """
    if value not in choices:
        raise ValueError(f"data.{option} must be one of {', '.join(choices)}, got {value!r}")
    return choices[value]
