"""Tables that are no text: Excel and Parquet, through pandas."""

from io import BytesIO
from typing import Any
from zipfile import BadZipFile, ZipFile

from gia.data.tables.raw import RawTable, by_columns, text_cell

EXCEL = b"PK\x03\x04"  # any zip archive: see is_excel
PARQUET = b"PAR1"


def is_excel(data: bytes) -> bool:
    """Whether bytes are a workbook of Excel."""
    try:
        return "xl/workbook.xml" in ZipFile(BytesIO(data)).namelist()
    except BadZipFile:
        return False


def is_parquet(data: bytes) -> bool:
    """Whether bytes are a Parquet file, whose mark stands at both ends: a column may be called
    PAR1."""
    return data.startswith(PARQUET) and data.endswith(PARQUET)


def read_excel(data: bytes) -> RawTable:
    """Read the first sheet of a workbook (``.xlsx``) with anything in it.

    Args:
        data: the whole file.

    Raises:
        ImportError: if openpyxl is not installed.
        ValueError: if it cannot be read.
    """
    import pandas

    if not is_excel(data):
        raise ValueError("it is a zip archive: unpack it and name a file in it")
    try:
        sheets = pandas.read_excel(
            BytesIO(data),
            sheet_name=None,
            header=None,
            dtype=object,
            na_filter=False,
            engine="openpyxl",
        )
    except ImportError as error:
        raise ImportError(_missing("an Excel file", "openpyxl")) from error
    except Exception as error:  # openpyxl raises whatever zip and XML raise
        raise ValueError(f"its workbook cannot be read: {error}") from error
    filled = {name: rows for name, frame in sheets.items() if (rows := _filled_rows(frame))}
    if not filled:
        return RawTable([], [])
    name, (header, *rows) = next(iter(filled.items()))
    notes = [f"the first of {len(filled)} sheets is read, {name!r}"] if len(filled) > 1 else []
    return RawTable(header, by_columns(rows, len(header)), notes)


def read_parquet(data: bytes) -> RawTable:
    """Read a Parquet file; an index with a name is a column.

    Args:
        data: the whole file.

    Raises:
        ImportError: if pyarrow is not installed.
        ValueError: if it cannot be read.
    """
    import pandas

    try:
        frame = pandas.read_parquet(BytesIO(data), engine="pyarrow", dtype_backend="numpy_nullable")
    except ImportError as error:
        raise ImportError(_missing("a Parquet file", "pyarrow")) from error
    except Exception as error:  # pyarrow raises its own
        raise ValueError(f"it cannot be read as Parquet: {error}") from error
    if any(name is not None for name in frame.index.names):
        frame = frame.reset_index()
    columns = [[_cell(value) for value in frame.iloc[:, i]] for i in range(frame.shape[1])]
    return RawTable(list(map(str, frame.columns)), columns)


def _filled_rows(frame: Any) -> list[list[str]]:
    """The rows of a sheet with anything in them."""
    rows = [[_cell(value) for value in row] for row in frame.itertuples(index=False)]
    return [row for row in rows if any(row)]


def _cell(value: Any) -> str:
    import pandas

    if hasattr(value, "tolist"):  # a list of values is an array
        value = value.tolist()
    if not isinstance(value, (list, tuple, dict)) and pandas.isna(value):
        return ""
    return text_cell(value)


def _missing(what: str, engine: str) -> str:
    return (
        f"reading {what} takes {engine}, which is not installed: pip install gia[tables], or save "
        "it as CSV"
    )
