"""Tables of every format, as names of columns and their cells of text."""

from gia.data.tables.binary import EXCEL, is_parquet, read_excel, read_parquet
from gia.data.tables.json_tables import is_json, read_json
from gia.data.tables.kinds import check_text
from gia.data.tables.raw import RawTable
from gia.data.tables.separated import read_separated

__all__ = [
    "EXCEL",
    "RawTable",
    "check_text",
    "is_json",
    "is_parquet",
    "read_excel",
    "read_json",
    "read_parquet",
    "read_separated",
]
