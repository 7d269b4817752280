"""Tables with named columns: CSV, tab-separated or JSON."""

import csv
import difflib
import json
from dataclasses import dataclass
from io import StringIO
from os import PathLike

from gia.data.files import read_text

Row = dict[str, str | None]


@dataclass
class Columns:
    """A table that was read.

    Attributes:
        path: its file.
        names: of its columns, in order.
        rows: one dictionary per row, from a column's name to its cell.
    """

    path: str | PathLike
    names: list[str]
    rows: list[Row]

    def check(self, option: str, column: str | None) -> None:
        """See that there is such a column, unless it is None.

        Args:
            option: the setting that names it, for the error.
            column: its name.

        Raises:
            ValueError: if there is none.
        """
        if column is None or column in self.names:
            return
        close = difflib.get_close_matches(column, self.names, n=1)
        guess = f"; did you mean data.{option}={close[0]}?" if close else ""
        raise ValueError(
            f"data.path={self.path} has no column {column!r} (data.{option}). "
            f"Its columns: {', '.join(self.names)}{guess}"
        )

    def rename(self, old: str, new: str) -> None:
        """Call a column otherwise, where there is one and the new name is free."""
        if old in self.names and new not in self.names:
            self.names = [new if name == old else name for name in self.names]
            for row in self.rows:
                row[new] = row.pop(old)

    def cells(self, column: str | None) -> list[str]:
        """The cells of a column without surrounding blanks; empty where there is no such column."""
        return [(row.get(column) or "").strip() if column else "" for row in self.rows]

    def labels(self, column: str | None) -> list[str]:
        """The names of the rows out of a column, ``row_0`` and so on where it has none."""
        return [cell or f"row_{i}" for i, cell in enumerate(self.cells(column))]

    def plain(self) -> tuple[list[str], list[dict[str, str]]]:
        """Columns and rows with strings alone, as they are written back to a CSV."""
        rows = [{name: row.get(name) or "" for name in self.names} for row in self.rows]
        return list(self.names), rows


def read_columns(path: str | PathLike, url: str | None = None) -> Columns:
    """Read a table with named columns.

    Either text with a header line, separated by commas or tabs, or the JSON that pandas writes,
    ``{"column": {"row": value, ...}, ...}``.

    Args:
        path: the file, also a gzipped one.
        url: where to download it from if ``path`` does not exist.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if it is no such table.
    """
    text = read_text(path, url).lstrip()
    parse = _parse_json if text.startswith("{") else _parse_csv
    try:
        columns = Columns(path, *parse(text))
    except (ValueError, AttributeError, KeyError, csv.Error) as error:
        raise ValueError(f"data.path={path} is not a table: {error}") from error
    if not columns.rows:
        raise ValueError(
            f"data.path={path} has no rows below its header: {', '.join(columns.names)}"
        )
    return columns


def _parse_csv(text: str) -> tuple[list[str], list[Row]]:
    header = text.partition("\n")[0]
    delimiter = "\t" if header.count("\t") > header.count(",") else ","
    reader = csv.DictReader(StringIO(text), delimiter=delimiter)
    return list(reader.fieldnames or []), list(reader)


def _parse_json(text: str) -> tuple[list[str], list[Row]]:
    table = json.loads(text)
    columns = list(table)
    keys = table[columns[0]].keys() if columns else []
    return columns, [
        {name: "" if table[name][key] is None else str(table[name][key]) for name in columns}
        for key in keys
    ]
