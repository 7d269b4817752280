"""What every reader of tables gives: text, column by column."""

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

# In a name, as spreadsheets have them; nobody can type one at a console.
LINE_BREAK = re.compile(r"\s*\n\s*")


@dataclass
class RawTable:
    """A table whose cells are text.

    Attributes:
        names: of the columns, in order.
        columns: the cells of each of them.
        notes: what was found on the way and should be said.
        separator: between the cells, where it is text.
    """

    names: list[str]
    columns: list[list[str]]
    notes: list[str] = field(default_factory=list)
    separator: str | None = None

    def tidied(self) -> "RawTable":
        """The same without blanks around the names, line breaks in them, and empty columns without
        a name.

        Raises:
            ValueError: if two columns have the same name, or one that is not the first has none.
        """
        names = [LINE_BREAK.sub(" ", name.strip()) for name in self.names]
        empty = [
            place
            for place, (name, cells) in enumerate(zip(names, self.columns, strict=True))
            if not name and not any(map(str.strip, cells))
        ]
        notes = list(self.notes)
        if empty:
            notes.append(f"{counted(len(empty), 'column')} without a name and a cell left out")
        kept = [place for place in range(len(names)) if place not in empty]
        names, columns = [names[i] for i in kept], [self.columns[i] for i in kept]
        _check_different(names, [place + 1 for place in kept])
        if "" in names[1:]:
            number = kept[names.index("")] + 1
            raise ValueError(f"column {number} has cells but no name: give it one, or empty it")
        if "" in names and len(names) > 1:
            notes.append("column 1 has no name: it is taken as an index")
        notes += _repeated(names, columns)
        return RawTable(names, columns, notes, self.separator)


def by_columns(rows: Sequence[Sequence[str]], width: int) -> list[list[str]]:
    """The cells of each column, where rows are given."""
    return [[row[place] for row in rows] for place in range(width)]


def counted(number: int, what: str) -> str:
    """A number of things in words: ``1 row``, ``1,200 rows``."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def text_cell(value: Any) -> str:
    """A value as a cell: nothing where it is None, its parts with blanks between where it is a
    list, JSON where it is an object."""
    if value is None:
        return ""
    if isinstance(value, dict):
        return json.dumps(value)
    if isinstance(value, (list, tuple)):
        return " ".join(map(text_cell, value))
    return str(value)


def _check_different(names: Sequence[str], numbers: Sequence[int]) -> None:
    for name, number in Counter(names).items():
        if number == 1:
            continue
        if not name:
            raise ValueError(
                f"{number} columns have no name: does its first row hold the names of the columns?"
            )
        pairs = zip(numbers, names, strict=True)
        places = " and ".join(str(place) for place, other in pairs if other == name)
        raise ValueError(
            f"the column {name!r} occurs {number} times (as columns {places}): rename all but one"
        )


def _repeated(names: Sequence[str], columns: Sequence[Sequence[str]]) -> list[str]:
    """What to say of a header that stands between the rows again, as where files were joined."""
    first = enumerate(columns[0]) if columns else ()
    rows = [
        row
        for row, cell in first
        if cell.strip() == names[0]
        and all(c[row].strip() == name for c, name in zip(columns, names, strict=True))
    ]
    if not rows:
        return []
    again = counted(len(rows), "row")
    return [f"{again} in which the header stands again, the first of them row {rows[0]}"]
