"""Tables of predictions, written whole or not at all."""

import csv
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gia.data.files import write_atomically

PROBLEM = "problem"


def check_out(out: str | os.PathLike, source: str | os.PathLike | None = None) -> Path:
    """See that a file can be written before any work is done for it.

    Args:
        out (Path): The file to write.
        source (Path, optional): The file that is read.

    Raises:
        ValueError, OSError: If it is the file that is read, a folder, or in none.
    """
    path = Path(out).expanduser()
    if path.is_dir():
        raise IsADirectoryError(f"out={out} is a folder: name a file in it")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"out={out}: there is no folder {path.parent}; make it first")
    source = None if source is None else Path(source).expanduser()
    if source is not None and source.exists() and path.exists() and path.samefile(source):
        raise ValueError(f"out={out} is the table that is read: give another name")
    return path


def check_columns(columns: Sequence[str], new: Sequence[str]) -> None:
    """See that a table has room for new columns.

    Raises:
        ValueError: If it has one of them already.
    """
    taken = [name for name in (*new, PROBLEM) if name in columns]
    if taken:
        raise ValueError(
            f"the table already has the column {taken[0]!r}, which the predictions need: rename it "
            "or leave it out"
        )


def extend_table(
    out: Path,
    columns: Sequence[str],
    rows: Iterable[Mapping[str, Any]],
    new: Sequence[str],
    said: Iterable[Sequence[str] | str],
) -> dict[str, int]:
    """Write a table again with more columns behind its own.

    All rows and columns stay as they are and where they are. Where a row has none of the new
    cells, a last column ``problem`` gives the reason.

    Args:
        out (Path): The CSV to write.
        columns, rows: The table as it was read; a row by its columns.
        new (list of str): The new columns.
        said (iterable): The new cells of each row; of a row without them the reason, a text. It is
            gone through twice.

    Returns:
        How many rows were ``predicted`` and how many not (``problems``).
    """
    kinds = Counter(isinstance(cells, str) for cells in said)
    problems = kinds[True]
    nothing = [""] * len(new)

    def line(row: Mapping[str, Any], cells: Sequence[str] | str) -> list[Any]:
        kept = [row[column] for column in columns]
        if isinstance(cells, str):
            return [*kept, *nothing, cells]
        return [*kept, *cells, ""] if problems else [*kept, *cells]

    heads = [*columns, *new, PROBLEM] if problems else [*columns, *new]
    write_csv(out, heads, (line(row, cells) for row, cells in zip(rows, said, strict=True)))
    return {"predicted": kinds[False], "problems": problems}


def write_csv(path: Path, columns: Sequence[str], lines: Iterable[Sequence[Any]]) -> None:
    """Write a table whole or not at all."""
    with write_atomically(path) as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(columns)
        table.writerows(lines)


def cell(value: Any) -> Any:
    """A value as a cell of a table: six digits, and nothing where it is not known."""
    if value is None or value != value:
        return ""
    return number_cell(value) if isinstance(value, float) else value


def number_cell(value: float) -> str:
    """A number as a cell of a table: six digits."""
    return f"{value:.6g}"
