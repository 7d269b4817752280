"""What the datasets that read a table share: its columns of targets and names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from os import PathLike
from typing import Any

from gia.data.columns import Columns, column_names, read_columns
from gia.data.datasets.base import Dataset
from gia.data.targets import word_note, words_for_missing

# Settings that name columns of text.
TEXTS = ("sequence_column", "label_column")


class TableDataset(Dataset):
    """A table with a target, or several, in each row; a subclass makes graphs of the rows.

    Args:
        path: the file, see :func:`gia.data.columns.read_columns`.
        target_column: the column that holds the target, or a list of them.
        name_column: the column that holds the names; without it they are ``row_0`` and so on.
        url: where to download the file from if ``path`` does not exist.
        aliases: other names by which a file may call its columns, ``{name: other}``.
        missing: words that stand for no value, besides an empty cell: see
            :func:`gia.data.columns.word_set`.
        **options: of :class:`gia.data.datasets.Dataset`.
    """

    target_level = "graph"
    # Whether an item is made of its own row alone, so that a large table is predicted in parts.
    in_parts = False

    def __init__(
        self,
        path: str | PathLike,
        target_column: str | Iterable[str] | None = None,
        name_column: str | None = None,
        url: str | None = None,
        aliases: Mapping[str, str] | None = None,
        missing: Iterable[Any] = (),
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.path, self.url, self.aliases = path, url, dict(aliases or {})
        self.target_column = column_names(target_column)
        self.name_column, self.missing = name_column, list(missing)

    def table(self) -> tuple[list[str], list[dict[str, str]]]:
        """The columns and all rows of the file."""
        return self.columns.plain()

    def column(self, name: str, option: str = "split_column") -> list[str]:
        self.columns.check(option, name)
        return self.columns.cells(name)

    @cached_property
    def columns(self) -> Columns:
        """The table, read when it is first asked for."""
        columns = read_columns(self.path, self.url, self.missing)
        for name, other in self.aliases.items():
            columns.rename(str(other), str(name))
        return columns

    def parts(self, rows: int) -> Iterator[Dataset]:
        number = len(self.columns) if self.in_parts else 0
        if number <= rows:
            yield self
        for first in range(0, number if number > rows else 0, rows):
            yield self.but(columns=self.columns.part(slice(first, first + rows)))

    @property
    def source(self) -> Columns:
        """The table whose columns the settings name, where :attr:`columns` has more rows."""
        return self.columns

    def check(self, labelled: bool, *options: str) -> None:
        """See that all columns are there.

        Args:
            labelled: those of the targets too.
            *options: the settings that name further columns.

        Raises:
            ValueError: if one is missing, or if ``labelled`` and there is no target or one twice.
        """
        for option in (*options, "name_column"):
            self.source.check(option, getattr(self, option))
            check_once(option, column_names(getattr(self, option)))
        if not labelled or self.target_type not in ("regression", "classification"):
            return
        if not self.target_column:
            raise ValueError(
                "data.target_column names no target to train on: give one of the columns "
                f"{', '.join(self.source.names)}"
            )
        self.source.check("target_column", self.target_column)
        check_once("target_column", self.target_column)

    def targets(self) -> list[list[str]]:
        """The raw targets of each row, empty where they are absent."""
        numbers = self.target_type == "regression" and self.target_level == "graph"
        read = self.columns.numbers if numbers else self.columns.cells
        return [list(row) for row in zip(*map(read, self.target_column), strict=True)] or [
            [] for _ in range(len(self.columns))
        ]

    def reading_notes(self) -> list[str]:
        """How the table was read, and which words in its texts may have stood for no value."""
        notes = list(self.columns.notes)
        for column in filter(None, (getattr(self, name, None) for name in TEXTS)):
            for word, number in words_for_missing(self.columns.cells(column)).items():
                notes.append(word_note(number, column, word, "text"))
        return notes

    @property
    def options(self) -> dict[str, Any]:
        return super().options | {"missing": self.missing}


def check_once(option: str, columns: Sequence[str]) -> None:
    """See that no column is named twice.

    Raises:
        ValueError: if one is.
    """
    for name in columns:
        if columns.count(name) > 1:
            raise ValueError(f"data.{option} names {name!r} twice: once is enough")
