"""Tables of text: which separator, which header, and rows that do not fit it."""

import csv
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import StringIO
from itertools import islice, pairwise

from gia.data.tables.raw import RawTable, counted

# In the order in which they are preferred: a header seldom holds those that come first by chance.
SEPARATORS = {"\t": "tabs", ";": "semicolons", ",": "commas"}
# Lines that are looked at to choose one.
SAMPLE = 1000
# Rows that an error names.
NAMED = 3
# The line by which Excel is told the separator.
EXCEL_HINT = re.compile(r'"?sep=(.)"?')


def read_separated(text: str) -> RawTable:
    """Read a header and the rows below it, separated by commas, semicolons or tabs.

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
    rows = _cells(body, separator, max(widths, default=0), above + lines[-1])
    if len(rows) != len(widths):  # a row must never be lost between the two readers
        raise ValueError("its quotation marks can be read in two ways: quote whole cells only")
    kept = [i for i, width in enumerate(widths) if width]  # others are blank
    header, *body_rows = [rows[i] for i in kept] or [[]]
    width, *row_widths = [widths[i] for i in kept] or [0]
    names = header[:width]
    if separator != ",":
        notes = [f"its cells are separated by {SEPARATORS.get(separator, repr(separator))}", *notes]
    surplus = any(any(map(str.strip, row[width:])) for row in body_rows)
    if surplus and separator != "," and set(row_widths) == {width + 1}:
        names, width = ["", *names], width + 1
    elif not surplus and any(number > width for number in row_widths):
        number = sum(number > width for number in row_widths)
        notes.append(f"empty cells beyond the header left out in {counted(number, 'row')}")
        row_widths = [min(number, width) for number in row_widths]
    wrong = [row for row, number in enumerate(row_widths) if number != width]
    if wrong:
        where = [above + lines[i] for i in kept[1:]]
        raise ValueError(_ragged(wrong, body_rows, row_widths, names, where, separator))
    columns = list(map(list, zip(*(row[:width] for row in body_rows), strict=True)))
    return RawTable(names, columns or [[] for _ in names], notes, separator)


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
            break
        text = rest
    if comments:
        notes.append(f"{counted(comments, 'line')} before the header, of comments, left out")
    return text, separator, notes


def _names_columns(line: str, rest: str) -> bool:
    """Whether a line that begins with ``#`` is the header, as in ``#id,smiles``."""
    if line[1:2].isspace():
        return False
    following = rest.partition("\n")[0]
    return any(0 < line.count(mark) == following.count(mark) for mark in SEPARATORS)


def _separator(text: str) -> str:
    """The separator by which most rows have as many cells as the header."""
    lines = list(islice(StringIO(text), SAMPLE + 1))

    def fit(separator: str) -> float:
        rows = [row for row in csv.reader(lines, delimiter=separator) if not _is_blank(row)]
        widths = [len(row) for row in rows]
        if len(lines) > SAMPLE:  # the last row may have been cut
            widths.pop()
        if separator == "\t" and len(widths) > 1 and set(widths[1:]) == {widths[0] + 1}:
            return 1.0 if widths[0] > 1 else 0.0  # an index without a name
        if not widths or widths[0] == 1:
            return -1.0
        return sum(width == widths[0] for width in widths[1:]) / max(len(widths) - 1, 1)

    best = max(SEPARATORS, key=fit)
    return best if fit(best) >= 0 else ","


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


def _cells(text: str, separator: str, width: int, last_line: int) -> Sequence[Sequence[str]]:
    """The cells of all lines, the header's among them, filled up to one width."""
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
    return list(zip(*(frame[column].tolist() for column in frame), strict=True))


def _is_blank(row: Sequence[str]) -> bool:
    return not row or (len(row) == 1 and row[0].isspace())


def _ragged(
    wrong: Sequence[int],
    rows: Sequence[Sequence[str]],
    widths: Sequence[int],
    names: Sequence[str],
    lines: Sequence[int],
    separator: str,
) -> str:
    """What to say of rows that have more or fewer cells than there are names."""
    told = []
    for row in wrong[:NAMED]:
        cells = separator.join(rows[row][: widths[row]])
        cells = cells if len(cells) <= 60 else f"{cells[:57]}..."
        told.append(f"row {row} (line {lines[row]}) has {widths[row]}: {cells!r}")
    more = f"; and {len(wrong) - NAMED:,} more" if len(wrong) > NAMED else ""
    way = "put a cell that holds a separator into quotation marks, and give every row all its cells"
    if separator == "," and all(_has_decimal_comma(rows[i][: widths[i]]) for i in wrong[:NAMED]):
        way = (
            "a decimal comma looks like the cause: write decimal points, or separate the cells by "
            "semicolons"
        )
    elif separator == "," and all(widths[i] == len(names) + 1 for i in range(len(rows))):
        way = "if the first column is an index, give it a name"
    header = ", ".join(" ".join(name.split()) for name in names[:10])
    header += ", ..." if len(names) > 10 else ""
    return (
        f"{len(wrong):,} of {counted(len(rows), 'row')} do not have the {len(names)} cells of the "
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
