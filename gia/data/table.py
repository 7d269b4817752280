"""Sequences from a table with named columns: CSV, tab-separated or JSON."""

import csv
import difflib
import json
from io import StringIO
from os import PathLike

from gia.data.files import read_text
from gia.data.sequence import Record

Row = dict[str, str | None]


class Table:
    """The rows of a table with named columns.

    Either text with a header line, separated by commas or tabs, or the JSON that pandas writes,
    ``{"column": {"row": value, ...}, ...}``.

    Args:
        path: the file, also a gzipped one.
        sequence_column: the column that holds the sequences.
        label_column: the column that holds their classes.
        name_column: the column that holds their names; without it they are ``row_0`` and so on.
        url: where to download the file from if ``path`` does not exist.
    """

    def __init__(
        self,
        path: str | PathLike,
        sequence_column: str,
        label_column: str | None = None,
        name_column: str | None = None,
        url: str | None = None,
    ) -> None:
        self.path, self.url = path, url
        self.sequence_column = sequence_column
        self.label_column = label_column
        self.name_column = name_column

    def load(self) -> list[Record]:
        """All rows in the file's order.

        Raises:
            OSError: if the file cannot be read.
            ValueError: if it is no such table or lacks a named column.
        """
        text = read_text(self.path, self.url).lstrip()
        parse = _parse_json if text.startswith("{") else _parse_csv
        try:
            columns, rows = parse(text)
        except (ValueError, AttributeError, KeyError, csv.Error) as error:
            raise ValueError(f"data.path={self.path} is not a table: {error}") from error
        for option in ("sequence_column", "label_column", "name_column"):
            self._check(option, getattr(self, option), columns)
        return [self._record(i, row) for i, row in enumerate(rows)]

    def _record(self, i: int, row: Row) -> Record:
        def cell(column: str | None) -> str:
            return (row[column] or "").strip() if column else ""

        return Record(
            name=cell(self.name_column) or f"row_{i}",
            sequence=cell(self.sequence_column),
            label=cell(self.label_column) or None,
        )

    def _check(self, option: str, column: str | None, columns: list[str]) -> None:
        if column is None or column in columns:
            return
        close = difflib.get_close_matches(column, columns, n=1)
        guess = f"; did you mean data.{option}={close[0]}?" if close else ""
        raise ValueError(
            f"data.path={self.path} has no column {column!r} (data.{option}). "
            f"Its columns: {', '.join(columns)}{guess}"
        )


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
