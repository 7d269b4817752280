"""Which split, for data of every kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from os import PathLike
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import Data

from gia.data.components import components
from gia.data.items import Items
from gia.data.splits.assign import (
    contiguous_split,
    given_split,
    no_split,
    random_split,
    scaffold_split,
    similarity_split,
)
from gia.data.splits.file import file_split
from gia.data.splits.kfold import folds_of_training, kfold_split, matbench_split
from gia.data.splits.parts import PARTS, EmptyPart, Split
from gia.data.splits.similarity import DEFAULT_THRESHOLD

SPLITS = (
    *("random", "scaffold", "similarity", "contiguous"),
    *("given", "file", "kfold", "matbench", "none"),
)
# What a split compares, and which one fits data of another kind.
COMPARED = {"scaffold": ("smiles", "molecules"), "similarity": ("sequence", "sequences")}
FITTING = {"smiles": "scaffold", "sequence": "similarity"}
# What items of one group are.
GROUPS = {
    "similarity": "each a family of similar sequences (data.similarity_threshold={threshold})",
    "scaffold": "each of one scaffold",
    "random": "each of identical items",
    "kfold": "each of identical items",
}
# What else may fill all parts, the strictest first.
LARGER = [{"val_fraction": value, "test_fraction": value} for value in (0.15, 0.25, 0.34)]
WAYS = (
    *LARGER,
    *({"similarity_threshold": value} for value in (0.5, 0.7, 0.9)),
    *({"split": "random"} | fractions for fractions in ({}, *LARGER)),
)
# So many letters give windows for every part.
ENOUGH_FOR_WINDOWS, WINDOW = 2560, 256


@dataclass(frozen=True)
class Splitter:
    """Puts each item into a part.

    Attributes:
        split: one of :data:`SPLITS`; ``"none"`` puts all into the test.
        split_seed: of the draws.
        fold: which of the folds is tested, or which of the splits in a file is taken, from 0.
        folds: their number.
        val_fraction: share of the items for validation.
        test_fraction: share for the test.
        similarity_k: letters of a k-mer in the similarity split; None lets the alphabet decide.
        similarity_threshold: share of k-mers that keeps two sequences together.
        split_file: for ``"file"``, see :func:`gia.data.file_split`.
        compared_column: of several molecules a row, the one that alone is compared; None compares
            the first that ``"scaffold"`` and ``"similarity"`` can, and whole rows elsewhere.
        inner_fold: of a member of an ensemble: which of ``inner_folds`` parts of the training part
            validates in place of the validation part (``folds_of_training``); None for none.
        inner_folds: their number.

    Raises:
        ValueError: if there is no such split, or it lacks its file.
    """

    split: str = "random"
    split_seed: int = 0
    fold: int = 0
    folds: int = 10
    val_fraction: float = 0.1
    test_fraction: float = 0.1
    similarity_k: int | None = None
    similarity_threshold: float = DEFAULT_THRESHOLD
    split_file: str | PathLike | None = None
    compared_column: str | None = None
    inner_fold: int | None = None
    inner_folds: int = 5

    def __post_init__(self) -> None:
        if self.split not in SPLITS:
            known = ", ".join(SPLITS)
            raise ValueError(f"data.split must be one of {known}, got {self.split!r}")
        if (self.split == "file") != (self.split_file is not None):
            raise ValueError(
                "data.split=file and data.split_file=... belong together: give both, or neither"
            )

    def __call__(
        self,
        items: Items,
        texts: Sequence[str],
        rows: Sequence[int],
        *,
        parts: Sequence[str] | None = None,
        classes: Tensor | None = None,
    ) -> Split:
        """The part of each of n items.

        Args:
            items: what is known of them.
            texts: of the n items, what is compared.
            rows: of the n items, where each stands in its dataset.
            parts: of the n items, for ``"given"``.
            classes: of the n items, whose shares a k-fold split keeps.

        Raises:
            ValueError: if the items cannot be split so, see the message.
        """
        column = self._compared(items)
        if column is not None:
            place = list(items.components).index(column)
            texts = [components(text)[place] for text in texts]
        try:
            split = self._split(items, texts, rows, parts, classes)
            told = [f"the split compares {column!r} alone (data.compared_column)"] if column else []
            split = replace(split, notes=[*split.notes, *told])
        except EmptyPart as error:
            if self.split == "given":
                raise EmptyPart(
                    f"{error}; data.split_column must send some to each of train, val and test"
                ) from error
            if len(set(texts)) < len(PARTS):
                message = f"three parts take 3 different items at least, here is {len(set(texts))}"
            else:
                groups = GROUPS.get(self.split, "in order")
                message = f"{error}, {groups.format(threshold=self.similarity_threshold)}"
            way = self._way_out(items, texts, rows, classes)
            raise EmptyPart(f"{message}: {way}") from error
        if self.inner_fold is None:
            return split
        folds = {"folds": self.inner_folds, "fold": self.inner_fold, "seed": self.split_seed}
        return folds_of_training(split, **folds, classes=classes)

    def _split(
        self,
        items: Items,
        texts: Sequence[str],
        rows: Sequence[int],
        parts: Sequence[str] | None,
        classes: Tensor | None,
    ) -> Split:
        kind, what = COMPARED.get(self.split, (items.kind, ""))
        if kind not in (items.kind, *items.components.values()):
            other = FITTING.get(items.kind, "random")
            raise ValueError(
                f"data.split={self.split} compares {what}: use data.split={other} here"
            )
        if self.split == "given":
            if parts is None:
                raise ValueError(
                    "data.split=given needs a column or an attribute that says train, val or test: "
                    "give data.split_column=..., or use another split"
                )
            return given_split(parts, rows)
        if self.split == "file":
            return file_split(self.split_file, rows, items.num_rows, self.fold)
        fractions = {"val_fraction": self.val_fraction, "test_fraction": self.test_fraction}
        seed = {"seed": self.split_seed}
        if self.split == "kfold":
            folds = {"folds": self.folds, "fold": self.fold, "val_fraction": self.val_fraction}
            names = items.class_names
            return kfold_split(texts, **folds, **seed, classes=classes, class_names=names)
        if self.split == "matbench":
            folds = {"fold": self.fold, "val_fraction": self.val_fraction}
            names = {"classes": classes, "class_names": items.class_names}
            return matbench_split(rows, items.num_rows, **folds, **seed, **names)
        if self.split == "similarity":
            likeness = {"k": self.similarity_k, "threshold": self.similarity_threshold}
            return similarity_split(texts, **fractions, **seed, **likeness)
        if self.split == "random":
            return random_split(texts, **fractions, **seed)
        if self.split == "none":
            return no_split(texts)
        in_order = {"scaffold": scaffold_split, "contiguous": contiguous_split}
        return in_order[self.split](texts, **fractions)

    def _compared(self, items: Items) -> str | None:
        """The column of the only molecule that is compared, of several a row.

        Raises:
            ValueError: if there is no such column, or the split cannot compare it.
        """
        if self.split not in GROUPS:
            return None
        kind = COMPARED[self.split][0] if self.split in COMPARED else None
        fitting = [name for name, own in items.components.items() if kind in (None, own)]
        if self.compared_column is None:
            return fitting[0] if kind and fitting else None
        if self.compared_column not in fitting:
            way = f"one of {', '.join(fitting)}" if fitting else "left out: a row is one molecule"
            raise ValueError(
                f"data.compared_column={self.compared_column} with data.split={self.split} must be "
                f"{way}"
            )
        return self.compared_column

    def _way_out(
        self,
        items: Items,
        texts: Sequence[str],
        rows: Sequence[int],
        classes: Tensor | None,
    ) -> str:
        """Settings with which no part is empty, tried; or what the data lacks."""
        for change in WAYS:
            if "similarity_threshold" in change and self.split != "similarity":
                continue
            try:
                replace(self, **change)._split(items, texts, rows, None, classes)
            except ValueError:
                continue
            settings = " ".join(f"data.{name}={value}" for name, value in change.items())
            relaxed = {"split", "similarity_threshold"} & change.keys()
            relatives = relaxed and self.split in ("similarity", "scaffold")
            leak = ", with relatives in several of them" if relatives else ""
            return f"{settings} fills all parts{leak}"
        way = "give more different ones"
        letters = sum(items.letters.values())
        if items.kind == "sequence" and items.level == "node" and letters >= ENOUGH_FOR_WINDOWS:
            way += (
                f", or read long sequences of a FASTA file in windows, for a language model: "
                f"data.windows=true data.max_length={WINDOW}"
            )
        return way


def said_parts(dataset: Any, column: str, graphs: Sequence[Data], rows: Sequence[int]) -> list[str]:
    """What a column of a dataset's table, or else an attribute of its items, says of each item.

    Args:
        dataset: one of gia's, whose ``column(name)`` has a cell for each row, or another.
        column: the name.
        graphs: the n items.
        rows: of the n items, where each stands in its dataset.

    Raises:
        ValueError: if there is no such column or attribute.
    """
    if hasattr(dataset, "column"):
        cells = dataset.column(column)
        return [cells[row] for row in rows]
    for data in graphs:
        if data.get(column) is None:
            raise ValueError(
                f"row {data.row} ({data.name}) has no attribute {column!r} (data.split_column)"
            )
    return [str(data[column]) for data in graphs]


def strata(items: Items) -> Tensor | None:
    """The class of each item, where there is one: its shares are kept in all folds."""
    if items.level != "graph" or len(items.target_names) != 1:
        return None
    return torch.cat([data.y for data in items.graphs])[:, 0].long()
