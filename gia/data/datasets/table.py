"""What the datasets that read a table share: its columns of targets and names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from os import PathLike
from typing import Any

from gia.data.columns import Columns, read_columns
from gia.data.datasets.base import Dataset


class TableDataset(Dataset):
    """A table with a target, or several, in each row; a subclass makes graphs of the rows.

    Args:
        path: the file, see :func:`gia.data.columns.read_columns`.
        target_column: the column that holds the target, or a list of them.
        name_column: the column that holds the names; without it they are ``row_0`` and so on.
        url: where to download the file from if ``path`` does not exist.
        aliases: other names by which a file may call its columns, ``{name: other}``.
        **options: of :class:`gia.data.datasets.Dataset`.
    """

    def __init__(
        self,
        path: str | PathLike,
        target_column: str | Iterable[str] | None = None,
        name_column: str | None = None,
        url: str | None = None,
        aliases: Mapping[str, str] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.path, self.url, self.aliases = path, url, dict(aliases or {})
        several = [target_column] if isinstance(target_column, str) else target_column
        self.target_column = list(several or [])
        self.name_column = name_column

    def table(self) -> tuple[list[str], list[dict[str, str]]]:
        """The columns and all rows of the file."""
        return self.columns.plain()

    def column(self, name: str) -> list[str]:
        self.columns.check("split_column", name)
        return self.columns.cells(name)

    @cached_property
    def columns(self) -> Columns:
        """The table, read when it is first asked for."""
        columns = read_columns(self.path, self.url)
        for name, other in self.aliases.items():
            columns.rename(other, name)
        return columns

    def check(self, labelled: bool, *options: str) -> None:
        """See that all columns are there.

        Args:
            labelled: those of the targets too.
            *options: the settings that name further columns.

        Raises:
            ValueError: if one is missing, or if ``labelled`` and there is no target.
        """
        for option in (*options, "name_column"):
            self.columns.check(option, getattr(self, option))
        if not labelled or self.target_type not in ("regression", "classification"):
            return
        if not self.target_column:
            raise ValueError(
                "data.target_column names no target to train on: give one of the columns "
                f"{', '.join(self.columns.names)}"
            )
        for name in self.target_column:
            self.columns.check("target_column", name)

    def targets(self) -> list[list[str]]:
        """The raw targets of each row, empty where they are absent."""
        return [[row.get(name) or "" for name in self.target_column] for row in self.columns.rows]
