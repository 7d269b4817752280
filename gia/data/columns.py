"""Tables with named columns, of every format: see :mod:`gia.data.tables`."""

import csv
import difflib
import re
import shlex
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from os import PathLike
from pathlib import Path, PurePath
from typing import Any

from gia.data.bounds import SIGN
from gia.data.files import decode, read_bytes
from gia.data.tables import (
    EXCEL,
    check_text,
    is_json,
    is_parquet,
    read_excel,
    read_json,
    read_parquet,
    read_separated,
)

# By their first bytes.
# Files of this name hold a record in each line, be it a single one.
JSON_LINES = (".jsonl", ".ndjson")
# How many of its columns a message lists.
LISTED = 30
# A number that is no name of a column.
MEASURED = re.compile(r"[-+]?\d*\.\d+([eE][-+]?\d+)?")
DECIMAL_COMMA = re.compile(rf"(?:{SIGN})?[-+]?\d*,\d+([eE][-+]?\d+)?")
THOUSANDS = re.compile(rf"(?:{SIGN})?[-+]?[1-9]\d{{0,2}},\d{{3}}")


def word_set(words: Iterable[Any]) -> Callable[[str], bool]:
    """Whether a cell is one of these words.

    What is no text, as ``nan`` and ``null`` on a command line, stands for all its spellings.

    Args:
        words: such as ``["NA", "-"]``.
    """
    exact = {word for word in words if isinstance(word, str)}
    others = {"null" if word is None else str(word) for word in words if not isinstance(word, str)}
    others = set(map(str.casefold, others))
    return lambda cell: cell in exact or cell.casefold() in others


@dataclass
class Columns:
    """A table that was read.

    Attributes:
        path: its file.
        values: the cells of each column, as they were read, by its name.
        notes: what should be said of how it was read.
        separator: between the cells, where the file is text.
        missing: whether a word stands for no value, see :func:`word_set`.
        first: of some rows of a table, which of its rows is the first of them.
    """

    path: str | PathLike
    values: dict[str, list[str]]
    notes: list[str] = field(default_factory=list)
    separator: str | None = None
    missing: Callable[[str], bool] = field(default_factory=lambda: word_set(()))
    first: int = 0

    @property
    def names(self) -> list[str]:
        """The names of the columns, in order."""
        return list(self.values)

    def __len__(self) -> int:
        return len(next(iter(self.values.values()), ()))

    def check(self, option: str, column: Any) -> None:
        """See that there is such a column, or all of several, unless it is None.

        Args:
            option: the setting that names it, for the error.
            column: its name, or a list of names.

        Raises:
            ValueError: if there is none.
        """
        named = column_names(column)
        missing = [name for name in named if name not in self.values]
        if not missing:
            return
        listed = ", ".join(self.names[:LISTED])
        more = f" and {len(self.names) - LISTED:,} more" if len(self.names) > LISTED else ""
        raise ValueError(
            f"data.path={self.path} has no column {missing[0]!r} (data.{option}). "
            f"Its columns: {listed}{more}{self._guess(option, missing[0], named)}"
        )

    def _guess(self, option: str, column: str, named: Sequence[str]) -> str:
        """What may be the reason that there is no such column."""
        if column in " ".join(self.names[:1]).split():
            return "; are its cells separated by blanks? Write commas or tabs"
        if any(map(MEASURED.fullmatch, self.names)):
            return "; its first row looks like values: write a row of names above it"
        close = difflib.get_close_matches(column, self.names, n=1)
        if not close:
            return ""
        meant = [close[0] if name == column else name for name in named]
        value = meant[0] if len(meant) == 1 else f"[{','.join(meant)}]"
        return f"; did you mean {shlex.quote(f'data.{option}={value}')}?"

    def part(self, rows: slice) -> "Columns":
        """Some rows that follow each other, with the names that they have in the whole table."""
        values = {name: cells[rows] for name, cells in self.values.items()}
        return replace(self, values=values, first=rows.start)

    def rename(self, old: str, new: str) -> None:
        """Call a column otherwise, where there is one and the new name is free."""
        if old in self.values and new not in self.values:
            self.values = {new if n == old else n: cells for n, cells in self.values.items()}

    def cells(self, column: Any) -> list[str]:
        """The cells of a column without surrounding blanks; empty where they are missing, or where
        there is no such column."""
        cells = [cell.strip() for cell in self.values.get(str(column), [""] * len(self))]
        return ["" if self.missing(cell) else cell for cell in cells]

    def numbers(self, column: Any) -> list[str]:
        """The same of a column of numbers: decimal commas are points where all of it has them.

        Between commas as separators that cannot be told from thousands, nor where each of them
        stands before three digits, as in 1,200: semicolons alone are a sign of decimal commas.
        """
        cells = self.cells(column)
        if self.separator in (None, ","):
            return cells
        numbers = [cell for cell in cells if any(map(str.isdigit, cell))]
        commas = [cell for cell in numbers if DECIMAL_COMMA.fullmatch(cell)]
        if not commas or any("." in cell or cell.count(",") > 1 for cell in numbers):
            return cells
        if self.separator != ";" and all(map(THOUSANDS.fullmatch, commas)):
            self._tell(
                f"{len(commas):,} cells of {str(column)!r} such as {commas[0]!r} may be thousands "
                "or decimals: write them without commas"
            )
            return cells
        self._tell(
            f"the decimal commas of {str(column)!r} are read as points: {commas[0]!r} is "
            f"{commas[0].replace(',', '.')}"
        )
        return [cell.replace(",", ".") if DECIMAL_COMMA.fullmatch(cell) else cell for cell in cells]

    def _tell(self, note: str) -> None:
        self.notes += [] if note in self.notes else [note]

    def labels(self, column: Any) -> list[str]:
        """The names of the rows out of a column, ``row_0`` and so on where it has none."""
        return [cell or f"row_{i}" for i, cell in enumerate(self.cells(column), self.first)]

    def plain(self) -> tuple[list[str], list[dict[str, str]]]:
        """Columns and rows as they were read and are written back to a CSV."""
        names = self.names
        rows = zip(*self.values.values(), strict=True)
        return names, [dict(zip(names, row, strict=True)) for row in rows]


def column_names(names: Any) -> list[str]:
    """The names of columns as an option gives them: one or several, be they numbers; none for
    None."""
    if names is None:
        return []
    several = isinstance(names, Iterable) and not isinstance(names, str)
    return [str(name) for name in names] if several else [str(names)]


def read_columns(
    path: str | PathLike,
    url: str | None = None,
    missing: Iterable[Any] = (),
    option: str = "data.path",
) -> Columns:
    """Read a table with named columns, whatever its format, which its content shows.

    Text with a header line, separated by commas, semicolons or tabs; JSON, as records, lines of
    records, or the columns that pandas writes, ``{"column": {"row": value, ...}, ...}``; Excel;
    Parquet. All cells are text.

    Args:
        path: the file, also a gzipped one.
        url: where to download it from if ``path`` does not exist.
        missing: words that stand for no value, see :func:`word_set`.
        option: the setting that names the file, for errors.

    Raises:
        ImportError: if the format takes a library that is not installed.
        OSError: if the file cannot be read.
        ValueError: if it is no such table.
    """
    file = f"{option}={path}"
    data = read_bytes(path, url, option)
    if data.startswith(EXCEL):
        read = read_excel
    elif is_parquet(data):
        read = read_parquet
    else:
        data = decode(data, file)
        check_text(data, file)
        lines = PurePath(str(path).lower().removesuffix(".gz")).suffix in JSON_LINES
        read = partial(read_json, lines=lines) if is_json(data) else read_separated
    try:
        table = read(data).tidied()
    except ImportError as error:
        raise ImportError(f"{file}: {error}") from error
    except (ValueError, csv.Error) as error:
        raise ValueError(f"{file} is not a table that can be read: {error}") from error
    if not table.columns or not table.columns[0]:
        raise ValueError(f"{file} has no rows below its header: {', '.join(table.names)}")
    values = dict(zip(table.names, table.columns, strict=True))
    return Columns(path, values, table.notes, table.separator, word_set(missing))


def table_of_files(path: Any, column: str, files: Sequence[Path]) -> Columns:
    """A table of files that hold an item each: their names, and in ``column`` where they lie."""
    names, places = [file.name for file in files], [str(file.resolve()) for file in files]
    return Columns(path, {"file": names, column: places})


def joined(tables: Sequence[Columns]) -> Columns:
    """Several tables with the same columns as one.

    Raises:
        ValueError: if they have others.
    """
    first, *others = tables
    for other in others:
        if set(other.names) != set(first.names):
            odd = ", ".join(sorted(set(other.names) ^ set(first.names)))
            raise ValueError(f"{other.path} and {first.path} do not have the same columns: {odd}")
    first.values = {
        name: [cell for table in tables for cell in table.values[name]] for name in first.names
    }
    first.notes = list(dict.fromkeys(note for table in tables for note in table.notes))
    return first
