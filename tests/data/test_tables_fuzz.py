"""Generated tables: read as they were made and as pandas reads them, or refused in one line."""

import csv
import gzip
import json
import math
from io import StringIO

import pandas
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gia.data.columns import read_columns

pytestmark = pytest.mark.slow

many = settings(
    max_examples=2000,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
WORDS = ["NA", "nan", "None", "null", "", "-1.5", "1e5", "007", "1,5", "<0.5", "CCO", "[Na+]", "é"]
CELLS = st.one_of(
    st.sampled_from(WORDS),
    st.text(st.sampled_from("ab 0.,;\t\"'\n#>{}[]°Δ"), max_size=8),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
)
NAMES = st.one_of(
    st.sampled_from(["smiles", "y", "400", "0", "1E5", "007", "TRUE", "NA", "ΔG=0", "FP (°C)"]),
    st.text("abc_9 °Δ(", min_size=1, max_size=6).filter(lambda name: name == name.strip()),
)
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-32"]


@st.composite
def tables(draw, cells=CELLS):
    """Names and rows."""
    names = draw(st.lists(NAMES, min_size=1, max_size=5, unique=True))
    row = st.lists(cells, min_size=len(names), max_size=len(names))
    return names, draw(st.lists(row, min_size=1, max_size=6))


@st.composite
def written(draw):
    """A table, its text, and the separator."""
    names, rows = draw(tables())
    separator = draw(st.sampled_from(",;\t"))
    quoting = draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
    index = draw(st.booleans())
    text = StringIO()
    writer = csv.writer(text, delimiter=separator, quoting=quoting, lineterminator="\n")
    writer.writerow(["", *names] if index else names)
    writer.writerows([i, *row] if index else row for i, row in enumerate(rows))
    return names, rows, text.getvalue(), separator


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    """Reads bytes; None where they are refused, in one line that names the file."""
    file = tmp_path_factory.mktemp("fuzz") / "table"

    def columns(data):
        file.write_bytes(data)
        try:
            return read_columns(file)
        except (ValueError, OSError, ImportError) as error:
            message = str(error)
        assert str(file) in message
        assert "\n" not in message
        return None

    return columns


@many
@given(made=written(), encoding=st.sampled_from(ENCODINGS), gzipped=st.booleans())
def test_what_was_written_is_read_as_pandas_reads_it(read, made, encoding, gzipped):
    names, rows, text, separator = made
    data = text.encode(encoding)
    table = read(gzip.compress(data) if gzipped else data)
    alone = separator not in text.partition("\n")[0]
    if alone and any(set(cell) & set(",;\t") or cell.isspace() for (cell,) in rows):
        return  # a cell of a column alone may look like two, or like a blank line
    found = [list(row) for row in zip(*(table.values[name] for name in names), strict=True)]
    assert found == rows
    if not alone:
        frame = pandas.read_csv(StringIO(text), sep=separator, dtype=str, na_filter=False)
        assert frame[names].values.tolist() == found


@many
@given(made=written(), data=st.data())
def test_a_damaged_table_is_refused_or_read_as_pandas_reads_it(read, made, data):
    text = made[2]
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(text)))
        added = data.draw(
            st.sampled_from(["", ",", ";", "\t", '"', "\n", "x", "#", "\r", "\ufeff"])
        )
        text = text[:place] + added + text[place + data.draw(st.integers(0, 2)) :]
    table = read(text.encode())
    if table is None:
        return
    body = text.replace("\r\n", "\n").replace("\r", "\n").removeprefix("\ufeff")
    frame = pandas.read_csv(
        StringIO(body), sep=table.separator, dtype=str, na_filter=False, header=None,
        names=range(len(table.values) + 20), index_col=False, skip_blank_lines=True,
    )  # fmt: skip
    theirs, mine = map(filled, (frame.values.tolist(), zip(*table.values.values(), strict=True)))
    # The header and comments aside, the rows are pandas', in its order and with its cells.
    assert mine == theirs[len(theirs) - len(mine) :]


def filled(rows):
    """The cells with anything in them, of the rows that have any."""
    return [cells for row in rows if (cells := [cell for cell in row if cell.strip()])]


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=6),
    st.sampled_from(WORDS),
)


@many
@given(
    made=tables(cells=VALUES), shape=st.sampled_from(["records", "lines", "columns", "indented"])
)
def test_json_is_read_value_by_value(read, made, shape):
    names, rows = made
    records = [dict(zip(names, row, strict=True)) for row in rows]
    text = {
        "records": lambda: json.dumps(records),
        "indented": lambda: json.dumps(records, indent=1, ensure_ascii=False),
        "lines": lambda: "\n".join(map(json.dumps, [*records, records[0]])),
        "columns": lambda: json.dumps({n: {i: r[n] for i, r in enumerate(records)} for n in names}),
    }[shape]()
    table = read(text.encode(errors="surrogatepass"))
    rows = [*rows, rows[0]] if shape == "lines" else rows
    for name, column in zip(names, zip(*rows, strict=True), strict=True):
        for cell, value in zip(table.values[name], column, strict=True):
            if value is None:
                assert cell == ""
            elif isinstance(value, float):
                assert float(cell) == value or math.isnan(value)
            else:
                assert cell == str(value)


@many
@given(
    st.one_of(
        st.binary(max_size=60),
        st.text('{}[]":,01a\n \\ude', max_size=40).map(lambda text: text.encode()),
        st.binary(max_size=20).map(lambda data: b"\x1f\x8b\x08" + data),
        st.binary(max_size=20).map(lambda data: b"PK\x03\x04" + data),
        st.binary(max_size=20).map(gzip.compress),
    )
)
def test_whatever_it_is_it_ends_in_a_table_or_in_one_line(read, data):
    table = read(data)
    assert table is None or len(set(map(len, table.values.values()))) == 1
