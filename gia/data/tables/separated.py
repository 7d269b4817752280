"""Tables of text: which separator, which header, and rows that do not fit it."""

import csv
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from io import StringIO
from itertools import compress, islice, pairwise

from gia.data.tables.raw import RawTable, counted

# In the order in which they are preferred: a header seldom holds those that come first by chance.
SEPARATORS = {"\t": "tabs", "|": "vertical bars", ";": "semicolons", ",": "commas"}
# Lines that are looked at to choose one.
SAMPLE = 1000
# Rows that an error names.
NAMED = 3
# The line by which Excel is told the separator.
EXCEL_HINT = re.compile(r'"?sep=(.)"?')


def read_separated(text: str) -> RawTable:
    """Read a header and the rows below it, separated by commas, semicolons, tabs or vertical
    bars.

    Blank lines are no rows. Lines before the header that begin with ``#`` are left out, and so are
    empty cells beyond the header. Where every row has one cell more than the header has names, as
    R writes it, the first column is an index without a name; not with commas, where a decimal comma
    looks the same.

    Args:
        text: the whole file.

    Raises:
        ValueError: if a row has more or fewer cells than the header, or a quotation mark is open.
    """
    body, separator, notes = _without_preamble(text)
    above = text.count("\n") - body.count("\n")  # lines
    with _cells_of_any_size():
        separator = separator or _separator(body)
        widths, lines = _shape(body, separator)
    columns = _cells(body, separator, max(widths, default=0), above + lines[-1])
    if len(columns[0]) != len(widths):  # a row must never be lost between the two readers
        raise ValueError("its quotation marks can be read in two ways: quote whole cells only")
    number = len(widths)
    if 0 in widths:  # blank lines
        columns = [list(compress(cells, widths)) for cells in columns]
        widths, lines = list(filter(None, widths)), list(compress(lines, widths))
    if separator != ",":
        notes = [f"its cells are separated by {SEPARATORS.get(separator, repr(separator))}", *notes]
    table = RawTable([], columns, notes, separator)
    table = _below_header(table, widths or [0], [above + line for line in lines])
    if body.count("\n") + (not body.endswith("\n")) > number:
        table.notes.extend(_of_several_lines(table.columns))
    return table


def _below_header(table: RawTable, widths: list[int], lines: list[int]) -> RawTable:
    """A table whose first row becomes the names, once all rows below have as many cells.

    Args:
        table: its columns with the header's cells, filled up to one width.
        widths: how many cells each row has.
        lines: where each begins in the file.
    """
    width, *row_widths = widths
    names = [cells[0] for cells in table.columns[:width]]
    columns = [cells[1:] for cells in table.columns]
    surplus = any(any(map(str.strip, cells)) for cells in columns[width:])
    if surplus and table.separator != "," and set(row_widths) == {width + 1}:
        names, width = ["", *names], width + 1
    elif not surplus and len(columns) > width:
        number = sum(number > width for number in row_widths)
        table.notes.append(f"empty cells beyond the header left out in {counted(number, 'row')}")
        row_widths = [min(number, width) for number in row_widths]
    wrong = [row for row, number in enumerate(row_widths) if number != width]
    if wrong:
        told = [
            (row, lines[row + 1], [cells[row] for cells in columns[: row_widths[row]]])
            for row in wrong[:NAMED]
        ]
        of_rows = len(wrong), len(row_widths), set(row_widths) == {width + 1}
        raise ValueError(_ragged(told, *of_rows, names, table.separator))
    return replace(table, names=names, columns=columns[:width])


def _without_preamble(text: str) -> tuple[str, str | None, list[str]]:
    """The text from its header on, the separator if a line says it, and what to say of this."""
    separator, notes, comments = None, [], 0
    while text:
        line, _, rest = text.partition("\n")
        hint = EXCEL_HINT.fullmatch(line.strip())
        if hint and rest.strip():
            separator = hint[1]
        elif line.startswith("#") and rest.strip() and not _names_columns(line, rest):
            comments += 1
        elif line.strip(" \n"):
            text = text.removeprefix("# ")  # as NumPy writes a header
            break
        text = rest
    if comments:
        notes.append(f"{counted(comments, 'line')} before the header, of comments, left out")
    return text, separator, notes


def _names_columns(line: str, rest: str) -> bool:
    """Whether a line that begins with ``#`` is the header, as in ``#id,smiles``.

    Where numbers stand in the next line, it is; where they begin a line later, that one is.
    """
    following, below = [*rest.split("\n", 2), ""][:2]
    marks = [mark for mark in SEPARATORS if 0 < line.count(mark) == following.count(mark)]
    for values in (following, below):
        if any(_is_number(cell) for mark in marks for cell in values.split(mark)):
            return values is following
    return bool(marks) and not line[1:2].isspace()


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _separator(text: str) -> str:
    """The separator by which most rows have as many cells as the header."""
    lines = list(islice(StringIO(text), SAMPLE + 1))

    def fit(separator: str) -> tuple[float, int]:
        """How well the rows fit the header, and the columns: of equals, it is what splits most."""
        rows = [row for row in csv.reader(lines, delimiter=separator) if not _is_blank(row)]
        widths = [len(row) for row in rows]
        if len(lines) > SAMPLE:  # the last row may have been cut
            widths.pop()
        if separator == "\t" and len(widths) > 1 and set(widths[1:]) == {widths[0] + 1}:
            return (1.0 if widths[0] > 1 else 0.0), widths[0]  # an index without a name
        if not widths or widths[0] == 1:
            return -1.0, 1
        share = sum(width == widths[0] for width in widths[1:]) / max(len(widths) - 1, 1)
        return share, widths[0]

    best = max(SEPARATORS, key=fit)
    return best if fit(best)[0] >= 0 else ","


def _shape(text: str, separator: str) -> tuple[list[int], list[int]]:
    """How many cells each row has, 0 where it is blank, and the line where it begins, from 1.

    pandas fills short rows and cuts long ones without a word.
    """
    widths, lines, line = [], [], 1
    reader = csv.reader(StringIO(text), delimiter=separator)
    for row in reader:
        widths.append(0 if _is_blank(row) else len(row))
        lines.append(line)
        line = reader.line_num + 1
    return widths, lines or [1]


def _cells(text: str, separator: str, width: int, last_line: int) -> list[list[str]]:
    """The cells of each column, the header's and blank lines' among them, filled up to one
    width."""
    import pandas

    try:
        frame = pandas.read_csv(
            StringIO(text),
            sep=separator,
            header=None,
            names=range(max(width, 1)),
            index_col=False,
            dtype=str,
            na_filter=False,
            skip_blank_lines=False,
            quoting=csv.QUOTE_MINIMAL,
            encoding_errors="strict",
            low_memory=False,
        )
    except pandas.errors.ParserError as error:
        if "EOF inside string" not in str(error):
            raise
        raise ValueError(
            f"the quotation mark in the row that begins in line {last_line} is never closed: close "
            "it, or write it twice in a quoted cell"
        ) from error
    return [frame[column].tolist() for column in frame]


def _is_blank(row: Sequence[str]) -> bool:
    return not row or (len(row) == 1 and row[0].isspace())


def _of_several_lines(columns: Sequence[Sequence[str]]) -> list[str]:
    """What to say of cells with line breaks: a stray quotation mark makes one of several rows."""
    rows = [row for row, cells in enumerate(zip(*columns, strict=True)) if "\n" in "".join(cells)]
    if not rows:
        return []
    return [f"{counted(len(rows), 'row')} with line breaks in a cell, the first of them {rows[0]}"]


def _ragged(
    first: Sequence[tuple[int, int, list[str]]],
    wrong: int,
    rows: int,
    an_index: bool,
    names: Sequence[str],
    separator: str | None,
) -> str:
    """What to say of rows that have more or fewer cells than there are names.

    Args:
        first: the first of them, each with its number, its line and its cells.
        wrong: how many there are.
        rows: of how many.
        an_index: all rows have one cell more.
        names: of the header.
        separator: between the cells.
    """
    told = []
    for row, line, cells in first:
        joined = (separator or "").join(cells)
        joined = joined if len(joined) <= 60 else f"{joined[:57]}..."
        told.append(f"row {row} (line {line}) has {len(cells)}: {joined!r}")
    more = f"; and {wrong - NAMED:,} more" if wrong > NAMED else ""
    way = "put a cell that holds a separator into quotation marks, and give every row all its cells"
    if separator == "," and all(_has_decimal_comma(cells) for *_, cells in first):
        way = (
            "a decimal comma looks like the cause: write decimal points, or separate the cells by "
            "semicolons"
        )
    elif any(re.match(r"\s+\"", cell) for *_, cells in first for cell in cells):
        way = "a blank before a quotation mark makes it a letter of the cell: remove the blank"
    elif an_index:
        way = "if the first column is an index, give it a name"
    header = ", ".join(" ".join(name.split()) for name in names[:10])
    header += ", ..." if len(names) > 10 else ""
    return (
        f"{wrong:,} of {counted(rows, 'row')} do not have the {len(names)} cells of the "
        f"header ({header}): {'; '.join(told)}{more} (rows are counted from 0): {way}"
    )


def _has_decimal_comma(cells: Sequence[str]) -> bool:
    return any(
        re.fullmatch(r"\s*[-+]?\d+", whole) and re.fullmatch(r"\d+([eE][-+]?\d+)?\s*", part)
        for whole, part in pairwise(cells)
    )


@contextmanager
def _cells_of_any_size() -> Iterator[None]:
    """Genomes are longer than the module csv lets a cell be."""
    before = csv.field_size_limit(2**31 - 1)
    try:
        yield
    finally:
        csv.field_size_limit(before)
