"""Features of graphs out of tables: columns beside the structures, or a file of its own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from gia.data.columns import Columns, read_columns
from gia.data.targets import shortened, to_float


@dataclass
class FeatureTable:
    """Some features of n items.

    Attributes:
        names: of the F features.
        values: what is no number is NaN.
        cells: as they were read, if that was text.
        bits: whether each is 0 or 1, and not to be scaled.

    Shapes:
        values: [n, F]
    """

    names: list[str]
    values: np.ndarray
    cells: list[list[str]] | None = None
    bits: bool = False

    def reasons(self, item: int) -> list[str]:
        """Which features of an item are no finite number in single precision, and what they are."""
        (wrong,) = np.nonzero(~np.isfinite(in_single(self.values[item])))
        return [f"{self.names[i]} is {self._said(item, i)}" for i in wrong]

    def _said(self, item: int, feature: int) -> str:
        if self.cells is None:
            return f"{self.values[item, feature]:g}"
        cell = self.cells[item][feature]
        return shortened(cell) if cell else "missing"


def in_single(values: np.ndarray) -> np.ndarray:
    """Numbers in single precision; what is beyond it becomes infinite."""
    with np.errstate(over="ignore"):
        return values.astype(np.float32)


def of_columns(dataset: Any, columns: Sequence[str], rows: Sequence[int]) -> FeatureTable:
    """Columns of a dataset's own table.

    Args:
        dataset: with its table.
        columns: their names.
        rows: of the n items, where each stands in the table.

    Raises:
        ValueError: if the dataset has no table, a column is missing, or holds text.
    """
    if not isinstance(getattr(dataset, "columns", None), Columns):
        raise ValueError(
            f"data.features=columns takes data out of a table, and {type(dataset).__name__} is "
            "none: use data.features=file, or give the items an attribute graph_features"
        )
    for column in columns:
        dataset.columns.check("feature_columns", column)
    file = f"data.path={dataset.path}"
    return _numbers(dataset.columns, columns, rows, file, "data.feature_columns")


def of_file(path: str | PathLike, rows: Sequence[int], num_rows: int) -> FeatureTable:
    """A file of features: a table, or the arrays of an ``.npz``, one behind the other.

    Args:
        path: the file.
        rows: of the n items, where each stands in the data.
        num_rows: of the data, for each of which the file has one.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if it has other rows, or no numbers.
    """
    if Path(path).suffix == ".npz":
        names, values = _arrays(Path(path))
        _check_rows(path, len(values), num_rows)
        return FeatureTable(names, values[list(rows)])
    table = read_columns(path, option="data.features_path")
    _check_rows(path, len(table), num_rows)
    names = [name for name in table.names if name]  # an index has none
    return _numbers(table, names, rows, f"data.features_path={path}", "the file")


def _check_rows(path: Any, found: int, expected: int) -> None:
    if found != expected:
        raise ValueError(
            f"data.features_path={path} has {found:,} rows, but the data has {expected:,}: give "
            "one row of features for each row of the data, in its order"
        )


def _numbers(
    table: Columns, names: Sequence[str], rows: Sequence[int], file: str, option: str
) -> FeatureTable:
    """Columns of a table as numbers."""
    columns = [table.numbers(name) for name in names]
    numbers = [[_number(cell) for cell in column] for column in columns]
    for name, column, read in zip(names, columns, numbers, strict=True):
        texts = [row for row, cell in enumerate(column) if cell]
        if texts and all(math.isnan(read[row]) for row in texts):
            raise ValueError(
                f"{file}: column {name!r} holds no number, in row {texts[0]} "
                f"{shortened(column[texts[0]])}: features are numbers; leave it out of {option}, "
                "or write a column of 0 and 1 for each of its values"
            )
    return FeatureTable(
        list(names),
        np.array([[column[row] for column in numbers] for row in rows], dtype=np.float64),
        [[column[row] for column in columns] for row in rows],
    )


def _number(cell: str) -> float:
    """A cell's number; NaN where it is none."""
    try:
        return to_float(cell)
    except ValueError:
        return math.nan


def _arrays(path: Path) -> tuple[list[str], np.ndarray]:
    """The columns of all arrays of a file, and their names."""
    option = f"data.features_path={path}"
    if not path.is_file():
        raise FileNotFoundError(f"{option} does not exist (looked in {Path.cwd()})")
    try:
        with np.load(path, allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in arrays.files}
    except Exception as error:  # the reader raises its own
        raise ValueError(f"{option} cannot be read: {error}") from error
    names, columns = [], []
    for name, array in found.items():
        if array.ndim not in (1, 2) or array.dtype.kind not in "fiub":
            raise ValueError(
                f"{option}: {name} is {list(array.shape)} of {array.dtype}, and features are "
                "numbers, one row each: [n], or [n, F]"
            )
        array = array.reshape(len(array), -1).astype(np.float64)
        several = array.shape[1] > 1
        names += [f"{name}_{i}" if several else name for i in range(array.shape[1])]
        columns.append(array)
    lengths = {len(array) for array in columns}
    if len(lengths) != 1:
        sizes = ", ".join(f"{name} {len(array):,}" for name, array in found.items()) or "no array"
        raise ValueError(f"{option} must hold arrays of as many rows each, got {sizes}")
    return names, np.concatenate(columns, axis=1)
