"""Tables in JSON: records, lines of records, or columns or rows as pandas writes them."""

import json
import re
from collections.abc import Sequence
from typing import Any

from gia.data.tables.raw import RawTable, text_cell

SHAPES = (
    'records [{"column": value, ...}, ...], such records one a line, columns '
    '{"column": {"row": value, ...}, ...}, or {"columns": [...], "data": [[...], ...]}'
)


def is_json(text: str) -> bool:
    """Whether a text begins as a table in JSON does."""
    return re.match(r"\s*(\{|\[\s*[{\]])", text) is not None


def read_json(text: str, lines: bool = False) -> RawTable:
    """Read records, lines of records, columns, or rows. Numbers keep their spelling; null is empty,
    and so is what a record does not name.

    Args:
        text: the whole file.
        lines: its name says that there is a record in each line, be it a single one.

    Raises:
        ValueError: if it is no JSON or none of these.
    """
    try:
        table = _load(text)
    except json.JSONDecodeError as error:
        if error.msg != "Extra data":
            raise
        return _from_records(_load_lines(text))
    if isinstance(table, list):
        return _from_records(table)
    if lines:
        return _from_records([table])
    if isinstance(table.get("columns"), list) and isinstance(table.get("data"), list):
        return _from_rows(table["columns"], table["data"])
    return _from_columns(table)


def _load(text: str) -> Any:
    as_written = {"parse_int": str, "parse_float": str, "parse_constant": str}
    try:
        return json.loads(text, **as_written, object_pairs_hook=_object)
    except RecursionError:
        raise ValueError(f"its JSON is nested too deeply: it must be {SHAPES}") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"an object of its JSON has {twice!r} twice")
    return found


def _load_lines(text: str) -> list[Any]:
    records = []
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                records.append(_load(line))
            except ValueError as error:
                raise ValueError(f"line {number} is no JSON record: {error}") from error
    return records


def _from_records(records: Sequence[Any]) -> RawTable:
    for row, record in enumerate(records):
        if not isinstance(record, dict):
            raise ValueError(f"row {row} of its JSON is no object: it must be {SHAPES}")
    names = list(dict.fromkeys(name for record in records for name in record))
    return _whole(names, [[text_cell(record.get(name)) for record in records] for name in names])


def _from_rows(names: Sequence[Any], rows: Sequence[Any]) -> RawTable:
    """As pandas writes a table with ``orient="split"``."""
    names = list(map(text_cell, names))
    for row, cells in enumerate(rows):
        if not isinstance(cells, list) or len(cells) != len(names):
            raise ValueError(f"row {row} of its JSON is no list of {len(names)} cells")
    return _whole(names, [[text_cell(cells[i]) for cells in rows] for i in range(len(names))])


def _from_columns(table: dict[str, Any]) -> RawTable:
    for name, column in table.items():
        if not isinstance(column, dict):
            raise ValueError(f"{name!r} of its JSON is no column: it must be {SHAPES}")
    keys = list(next(iter(table.values()), ()))
    for name, column in table.items():
        odd = next(iter(column.keys() ^ set(keys)), None)
        if odd is not None:
            raise ValueError(f"only some of its JSON columns have a row {odd!r}: {name!r} differs")
    return _whole(list(table), [[text_cell(c[key]) for key in keys] for c in table.values()])


def _whole(names: list[str], columns: list[list[str]]) -> RawTable:
    """A table that can be written as UTF-8: JSON may name one half of a character alone."""
    for name, column in zip(names, columns, strict=True):
        for row, cell in enumerate([name, *column]):
            try:
                cell.encode()
            except UnicodeEncodeError:
                where = f"row {row - 1} of its JSON" if row else "a name of its JSON"
                raise ValueError(f"{where} holds half a character alone: {cell!a}") from None
    return RawTable(names, columns)
