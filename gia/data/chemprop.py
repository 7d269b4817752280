"""The molecules of a datamodule and its split, in files as chemprop reads them."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from gia.data.files import write_atomically
from gia.data.splits import PARTS

TABLE, MOLECULES, SPLITS = "table.csv", "molecules.csv", "splits.json"
SMILES, WEIGHT = "smiles", "weight"


def target_columns(number: int) -> list[str]:
    """The columns of so many targets: what the user calls them may be taken."""
    return [f"target_{t}" for t in range(number)]


def write_for_chemprop(data: Any, folder: Path) -> list[int]:
    """Write ``table.csv``, ``molecules.csv``, the same without targets, and ``splits.json``.

    A line for each item, in the dataset's order: its SMILES, its targets and, if the items have
    one, its weight. A missing target is empty, and so is one that is known by a bound alone; a
    class is its number. The split is the one that everything else here is trained on.

    Args:
        data (DataModule): The data.
        folder (Path): Where the files go.

    Returns:
        The row of each line.

    Raises:
        ValueError: If the items are no single molecules, or their nodes have targets.
    """
    data.setup()
    items, graphs = data.items, list(data.graphs)
    if items.kind != "smiles" or items.level != "graph":
        raise ValueError(
            "chemprop is run on molecules with targets of the whole, and these data are of "
            f"{items.kind} with targets of each {items.level}: choose another model"
        )
    if items.components:  # a SMILES ends at a blank: chemprop would read the first alone
        raise ValueError(
            f"chemprop is run on one molecule a row, and these have {len(items.components)} parts: "
            f"{', '.join(items.components)}; choose another model"
        )
    folder.mkdir(parents=True, exist_ok=True)
    weighted = graphs[0].get("weight") is not None
    heads = [SMILES, *target_columns(len(items.target_names)), *([WEIGHT] if weighted else [])]
    whole = data.target_type == "classification"
    lines = [
        [
            graph.text,
            *(_cell(value, whole) for value in graph.y[0].tolist()),
            *([float(graph.weight)] if weighted else []),
        ]
        for graph in graphs
    ]
    _write(folder / TABLE, [heads, *lines])
    _write(folder / MOLECULES, [line[:1] for line in [heads, *lines]])
    parts = {name: data.split.members(name) for name in PARTS}
    with write_atomically(folder / SPLITS) as file:
        json.dump([parts], file)
    return [int(graph.row) for graph in graphs]


def read_predictions(path: Path, folder: Path, targets: int) -> torch.Tensor:
    """What chemprop has predicted of the molecules of a folder, ``[n, T]``.

    Args:
        path (Path): The CSV that ``chemprop predict`` has written.
        folder (Path): The folder of :func:`write_for_chemprop`.
        targets (int): T.

    Raises:
        ValueError: If these are not predictions of the same molecules in the same order.
    """
    asked, said = _read(folder / MOLECULES), _read(path)
    if [row[SMILES] for row in said] != [row[SMILES] for row in asked]:
        raise ValueError(
            f"{path} has predictions of {len(said):,} molecules that are not the {len(asked):,} "
            "asked for, in their order"
        )
    columns = target_columns(targets)
    lacking = [name for name in columns if said and name not in said[0]]
    if lacking:
        raise ValueError(f"{path} has no column {lacking[0]}, but {', '.join(said[0])}")
    for line, row in enumerate(said):
        for name in columns:
            if not _is_number(row[name]):
                raise ValueError(f"{path} predicts {row[name]!r} of {row[SMILES]} (line {line})")
    return torch.tensor([[float(row[name]) for name in columns] for row in said])


def _cell(value: float, whole: bool) -> str | float | int:
    if math.isnan(value):
        return ""
    return int(value) if whole else value


def _is_number(cell: str) -> bool:
    try:
        return math.isfinite(float(cell))
    except ValueError:
        return False


def _write(path: Path, lines: Sequence[Sequence[Any]]) -> None:
    with write_atomically(path) as file:
        csv.writer(file).writerows(lines)


def _read(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
