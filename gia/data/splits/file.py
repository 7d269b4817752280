"""A split that a file says: the rows of each part, or the part of each row."""

import json
from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gia.data.columns import read_columns
from gia.data.splits.assign import GIVEN, PARTS, Split, checked

KINDS = ".csv, .json, .npz or .pt"
ROW = ("row", "index")  # a column that says which row of the data a line is about
PART = ("split", "part")


def file_split(path: str | PathLike, rows: Sequence[int], num_rows: int) -> Split:
    """As a file says.

    Either the rows of each part, under the names ``train``, ``val`` (or ``valid``, ``validation``,
    ``dev``) and ``test``: arrays of an ``.npz``, lists of a ``.json``, tensors of a ``.pt``,
    columns of a ``.csv``. Or the part of each row: a list, an array or a tensor of names or of the
    numbers 0, 1 and 2; or a ``.csv`` with a column ``split``, and ``row`` if not all rows are in
    it, as ``splits.csv`` of a run. Rows are counted from 0; those in no part are left out.

    Args:
        path: the file.
        rows: of the n graphs, where each stands in its dataset.
        num_rows: of the dataset, rows without a graph included.

    Raises:
        OSError: if there is no such file.
        ValueError: if it is no split of these rows, see the message.
    """
    parts = _by_part(_read(Path(path).expanduser()), path, num_rows)
    where = torch.full((num_rows,), -1)
    for number, name in enumerate(PARTS):
        chosen = parts.get(name, torch.empty(0, dtype=torch.long))
        wrong = chosen[(chosen < 0) | (chosen >= num_rows)]
        if len(wrong):
            raise ValueError(
                f"data.split_file={path} puts row {int(wrong[0])} into {name}, but the data has "
                f"{num_rows} rows, counted from 0: is it a split of other data?"
            )
        taken = chosen[where[chosen] >= 0]
        if len(taken):
            row = int(taken[0])
            raise ValueError(
                f"data.split_file={path} puts row {row} into two parts, {PARTS[where[row]]} and "
                f"{name}: each row belongs to one"
            )
        where[chosen] = number
    part = where[torch.as_tensor(rows, dtype=torch.long)]
    for number, name in enumerate(PARTS):
        if not (part == number).any():
            raise ValueError(
                f"data.split_file={path} leaves nothing in the {name} part: it must name rows with "
                "a graph and a target for each of train, val and test"
            )
    return Split(checked(part), torch.arange(len(part)))


def _read(path: Path) -> Any:
    if not path.is_file():
        raise FileNotFoundError(f"data.split_file={path} does not exist (looked in {Path.cwd()})")
    if path.suffix == ".csv":
        return read_columns(path, option="data.split_file").plain()[1]
    try:
        if path.suffix == ".json":
            return json.loads(path.read_text(encoding="utf-8"))
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as arrays:
                found = {name: arrays[name] for name in arrays.files}
            return found if len(found) > 1 else next(iter(found.values()))
        if path.suffix == ".pt":
            return torch.load(path, weights_only=True, map_location="cpu")
    except Exception as error:  # each reader raises its own
        raise ValueError(f"data.split_file={path} cannot be read: {error}") from error
    raise ValueError(f"data.split_file={path} must be a {KINDS}")


def _by_part(found: Any, path: Any, num_rows: int) -> dict[str, Tensor]:
    """The rows of each part."""
    if isinstance(found, Mapping):
        return {_part(name, path): _rows(rows, name, path) for name, rows in found.items()}
    entries = list(found)
    if entries and isinstance(entries[0], Mapping):
        columns = list(entries[0])
        part = next((name for name in PART if name in columns), None)
        if part is None:  # a column of rows for each part
            return {
                _part(name, path): _rows([e[name] for e in entries if e[name].strip()], name, path)
                for name in columns
                if name  # an index has none
            }
        row = next((name for name in ROW if name in columns), None)
        names = [entry[part] for entry in entries]
        places = None if row is None else _rows([e[row] for e in entries], row, path)
    else:
        names, places = [str(_plain(entry)) for entry in entries], None
    if places is None and len(names) != num_rows:
        raise ValueError(
            f"data.split_file={path} has {len(names)} entries for {num_rows} rows: give one a row, "
            "or say in a column row which it is"
        )
    places = torch.arange(num_rows) if places is None else places
    result: dict[str, list[int]] = {name: [] for name in PARTS}
    for name, place in zip(names, places.tolist(), strict=True):
        if name.strip().lower() not in ("", "none", "-1"):
            result[_part(name, path)].append(place)
    return {name: torch.tensor(rows, dtype=torch.long) for name, rows in result.items()}


def _part(name: str, path: Any) -> str:
    plain = str(name).strip().lower().removesuffix("_idx").removeprefix("idx_")
    numbers = {str(number): part for number, part in enumerate(PARTS)}
    if plain not in GIVEN | numbers:
        raise ValueError(
            f"data.split_file={path} speaks of {name!r}, which is no part: its parts are train, "
            "val and test"
        )
    return (GIVEN | numbers)[plain]


def _rows(values: Iterable[Any], name: str, path: Any) -> Tensor:
    try:
        numbers = [_plain(value) for value in values]
        rows = torch.tensor([_whole(number) for number in numbers], dtype=torch.long)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"data.split_file={path}: {name} must hold numbers of rows, got {error}"
        ) from error
    return rows


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


def _whole(value: Any) -> int:
    """A row's number; pandas writes ``3.0`` where a column has empty cells."""
    return int(value.removesuffix(".0") if isinstance(value, str) else value)
