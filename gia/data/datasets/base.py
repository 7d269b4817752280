"""What gia's own datasets share: read once, transformed, kept, with targets, told what is lost."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import torch_geometric.data
from torch_geometric.data import Data

from gia.data.bad_rows import sort_out
from gia.data.cache import digest, processed
from gia.data.items import Items, chosen
from gia.data.progress import progress
from gia.data.targets import ClassNames, read_targets
from gia.data.transforms import Steps, described

TARGET_TYPES = ("regression", "classification", "next_token", "masked")


class Dataset(torch_geometric.data.Dataset):
    """A PyG dataset of graphs that were read from a source, in the source's order.

    It is read when the first item is asked for. Items are as :mod:`gia.data.schema` says, those
    with a target only, if they have targets; :attr:`items` says what was lost.

    A subclass gives :meth:`load` and :meth:`digest`, and where it can :meth:`table` and
    :meth:`with_file`.

    Args:
        target_type: what ``y`` is: ``"regression"``, ``"classification"``, ``"next_token"``;
            ``"masked"``, where what is hidden is the target, or None, for none.
        class_names: the classes where they are known before; None takes them from the data.
        labelled: whether targets must be there; without it an item may lack them all.
        transform: called with each item whenever it is fetched.
        pre_transform: called with each item once; what it makes is kept in
            ``$GIA_CACHE/processed``.

    Raises:
        ValueError: if an option is out of range.
    """

    # The names of the targets that a trained model says, whatever a file has of them.
    wanted: list[str] | None = None
    # The rows of the items that PyG's subset of a dataset has left, in its order.
    rows: list[int] | None = None

    def __init__(
        self,
        *,
        target_type: str | None = "regression",
        class_names: ClassNames | None = None,
        labelled: bool = True,
        transform: Callable[[Data], Data] | None = None,
        pre_transform: Any = None,
    ) -> None:
        check_choice("target_type", target_type, (*TARGET_TYPES, None))
        super().__init__(None, transform)
        self.target_type, self.labelled = target_type, labelled
        self.class_names = None if class_names is None else list(class_names)
        self.steps = Steps(pre_transform)

    def load(self, labelled: bool = True) -> Items:
        """The items as they are read, their targets still text; without ``labelled`` these may
        be absent."""
        raise NotImplementedError

    def digest(self) -> str:
        """A digest of the content and the options, by which processed graphs are kept."""
        raise NotImplementedError

    def table(self) -> tuple[list[str], list[dict[str, str]]]:
        """The columns and all rows as they were read, to write them out with predictions."""
        raise ValueError(f"{type(self).__name__} is no table: give data.path=... of one")

    def reading_notes(self) -> list[str]:
        """What should be said of how the source was read."""
        return []

    def with_file(self, path: Any, **columns: Any) -> Dataset:
        """A dataset of the same kind of graphs, out of another file."""
        raise ValueError(
            f"{type(self).__name__} reads no file that data.path={path} could stand for: give data "
            "of another kind, such as data=molecules or data=fasta"
        )

    def parts(self, rows: int) -> Iterator[Dataset]:
        """The same data in parts of so many rows of its table, each read by itself; in one part
        where it is no larger, or cannot be read in parts."""
        yield self

    @property
    def options(self) -> dict[str, Any]:
        """What a dataset of another file has in common with this one."""
        return {
            "target_type": self.target_type,
            "transform": self.transform,
            "pre_transform": self.steps,
        }

    def column(self, name: str, option: str = "split_column") -> list[str]:
        """The cells of a column, of all rows of the source.

        Args:
            name: of the column.
            option: the setting that names it, for the error.

        Raises:
            ValueError: if there is none.
        """
        name, (columns, rows) = str(name), self.table()
        if name not in columns:
            raise ValueError(
                f"there is no column {name!r} (data.{option}). The columns: {', '.join(columns)}"
            )
        return [row[name] for row in rows]

    def but(self, **changes: Any) -> Dataset:
        """The same dataset with other options, which is read anew.

        Of a subset, as PyG makes it by ``dataset[:100]`` or ``dataset.shuffle()``, the same rows.
        """
        other = copy.copy(self)
        if self._indices is not None:  # places among the items, which may be others then
            other.rows = [int(self.items.graphs[i].row) for i in self._indices]
            other._indices = None
        other.__dict__.pop("items", None)
        for name, value in changes.items():
            setattr(other, name, value)
        return other

    @cached_property
    def items(self) -> Items:
        """All items, and what is known of them.

        Raises:
            OSError, ImportError: if the source cannot be read.
            ValueError: if it cannot be used, see the message.
        """
        steps = described(self.steps)
        apart = ["masked"] if self.target_type == "masked" else []  # targets may be absent
        if (self.labelled or apart) and self.target_type != "next_token" and steps is not None:
            items = processed(digest(self.digest(), steps, *apart), self._build)
        else:  # what a language model reads is read as fast as a file
            items = self._build()
        if self.wanted is not None:
            items = _with_targets(items, self.wanted)
        items = replace(items, notes=[*items.notes, *self.reading_notes()])
        if self.target_type in ("regression", "classification") and any(items.cells):
            targets = read_targets(items, self.target_type, self.class_names)
            items = sort_out(items, targets, keep_all=not self.labelled)
        return items if self.rows is None else chosen(items, self.rows)

    def len(self) -> int:
        return len(self.items.graphs)

    def get(self, idx: int) -> Data:
        data = self.items.graphs[idx]
        return copy.copy(data) if self.transform is None else data.clone()  # it may work in place

    def _build(self) -> Items:
        items = self.load(self.labelled)
        if self.steps:
            number = len(items.graphs)
            graphs = progress(items.graphs, number, "transforming graphs")
            items.graphs = [self.steps(data.clone()) for data in graphs]
        return items


def check_choice(option: str, value: Any, choices: Sequence[Any]) -> None:
    """See that a setting is one of several.

    Raises:
        ValueError: if it is not, with those that there are.
    """
    if value not in choices:
        known = ", ".join(str(choice) for choice in choices if choice is not None)
        raise ValueError(f"data.{option} must be one of {known}, got {value!r}")


def _with_targets(items: Items, wanted: Sequence[str]) -> Items:
    """Items with the targets of these names, empty where they have none."""
    names, cells = items.target_names, items.cells
    if len(names) != len(wanted):
        rows = (dict(zip(names, row, strict=True)) for row in cells)
        cells = [[row.get(name, "") for name in wanted] for row in rows]
    return replace(items, cells=cells, target_names=list(wanted))
