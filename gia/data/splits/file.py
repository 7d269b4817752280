"""A split that a file says: the rows of each part, or the part of each row."""

import json
import re
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
RANGE = re.compile(r"\s*(\d+)\s*-\s*(\d+)\s*")
ROW = ("row", "index")  # a column that says which row of the data a line is about
PART = ("split", "part")


def file_split(
    path: str | PathLike, rows: Sequence[int], num_rows: int, replicate: int = 0
) -> Split:
    """As a file says.

    Either the rows of each part, under the names ``train``, ``val`` (or ``valid``, ``validation``,
    ``dev``) and ``test``: arrays of an ``.npz``, lists of a ``.json``, tensors of a ``.pt``,
    columns of a ``.csv``. Or the part of each row: a list, an array or a tensor of names or of the
    numbers 0, 1 and 2; or a ``.csv`` with a column ``split``, and ``row`` if not all rows are in
    it, as ``splits.csv`` of a run. Rows are counted from 0; those in no part are left out. A
    ``.json`` may hold a list of such splits, the replicates of an experiment, and write rows as
    ranges with their last row, ``"0-99,120"``: so do chemprop's.

    Args:
        path: the file.
        rows: of the n graphs, where each stands in its dataset.
        num_rows: of the dataset, rows without a graph included.
        replicate: which of several splits, from 0.

    Raises:
        OSError: if there is no such file.
        ValueError: if it is no split of these rows, see the message.
    """
    found, note = _replicate(_read(Path(path).expanduser()), path, replicate)
    parts = _by_part(found, path, num_rows)
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
    return Split(checked(part), torch.arange(len(part)), note)


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


def _replicate(found: Any, path: Any, replicate: int) -> tuple[Any, list[str]]:
    """One of the splits that a file holds, and which one."""
    json_list = Path(path).suffix == ".json" and isinstance(found, list) and bool(found)
    several = json_list and all(map(_is_split, found))
    number = len(found) if several else 1
    if not 0 <= replicate < number:
        what = f"{number} splits" if number > 1 else "one split"
        raise ValueError(
            f"data.split_file={path} holds {what}, but data.fold is {replicate}: it counts them "
            "from 0"
        )
    if not several:
        return found, []
    return found[replicate], [f"split {replicate} of 0 to {number - 1} in {path}"] * (number > 1)


def _is_split(entry: Any) -> bool:
    """Whether this has the rows of parts, and is not a row of a table."""
    if not isinstance(entry, Mapping) or any(name in entry for name in (*PART, *ROW)):
        return False
    return any(isinstance(value, (list, str)) for value in entry.values())


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
        values = values.split(",") if isinstance(values, str) else values
        numbers = [row for value in values for row in _range(_plain(value))]
        rows = torch.tensor([_whole(number) for number in numbers], dtype=torch.long)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"data.split_file={path}: {name} must hold numbers of rows, got {error}"
        ) from error
    return rows


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


def _range(value: Any) -> Iterable[Any]:
    """The rows of ``"0-99"``, its last one included; another value alone."""
    ends = RANGE.fullmatch(value) if isinstance(value, str) else None
    return [value] if ends is None else range(int(ends[1]), int(ends[2]) + 1)


def _whole(value: Any) -> int:
    """A row's number; pandas writes ``3.0`` where a column has empty cells."""
    return int(value.removesuffix(".0") if isinstance(value, str) else value)
