"""Raw cells of a table as targets: numbers, or the numbers of classes."""

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from gia.data.items import Items, Rejected

# What pandas reads as missing too.
MISSING = {"", "na", "n/a", "#n/a", "<na>", "nan", "+nan", "-nan", "null", "none"}
# What stands for a residue without a label.
UNLABELLED = "?"
LARGEST = torch.finfo(torch.float32).max


@dataclass
class Targets:
    """The targets of n graphs.

    Attributes:
        y: of each graph, NaN where it is missing or cannot be read.
        class_names: the classes, of which ``y`` holds the number; empty for regression.
        missing: the graphs that lack a target, and which.
        masked: the graphs with a target that is there but cannot be read, and why.

    Shapes:
        y: [1, T] each, or [N, T] for targets of nodes
    """

    y: list[Tensor]
    class_names: list[str]
    missing: list[Rejected] = field(default_factory=list)
    masked: list[Rejected] = field(default_factory=list)


def read_targets(
    items: Items, target_type: str, class_names: Sequence[str] | None = None
) -> Targets:
    """The targets of items whose cells are text.

    Where targets are of nodes, a graph's cell is cut as its nodes were. It holds one letter a
    node for classes (``?`` for none), and for regression one number a node, separated by blanks,
    commas or semicolons. An infinite number stands for something that could not be measured: it is
    masked.

    Args:
        items: the graphs and their cells.
        target_type: ``"regression"`` or ``"classification"``.
        class_names: of a trained model; None takes them from the cells: sorted, as numbers if all
            of them are.
    """
    classes = target_type == "classification"
    by_node = items.level == "node"
    nodes = [data.num_nodes if by_node else 1 for data in items.graphs]
    cut = [int(data.get("cut") or 0) if by_node else 0 for data in items.graphs]
    values = [
        [_values(cell, n + lost, classes) if by_node else [cell.strip()] for cell in cells]
        for n, lost, cells in zip(nodes, cut, items.cells, strict=True)
    ]
    if classes:
        present = {v for row in values for cell in row for v in cell if not _is_missing(v)}
        class_names = list(_class_names(present) if class_names is None else class_names)
    read = _class_reader(class_names) if classes else _number
    result = Targets([], class_names if classes else [])
    for data, n, lost, row in zip(items.graphs, nodes, cut, values, strict=True):
        y = torch.full((n, len(row)), math.nan)
        wrong, absent = [], []
        for t, (name, cell) in enumerate(zip(items.target_names, row, strict=True)):
            if len(cell) != n + lost:
                wrong.append(f"target {name!r} has {len(cell)} values for {n + lost} nodes")
            elif all(map(_is_missing, cell)):
                absent.append(name)
            else:
                numbers, reasons = zip(*(_read(value, read) for value in cell[:n]), strict=True)
                y[:, t] = torch.tensor(numbers)
                wrong += [f"target {name!r}: {reason}" for reason in reasons if reason][:1]
        result.y.append(y)
        if absent:
            reason = f"no target {', '.join(map(repr, absent))}"
            result.missing.append(Rejected(int(data.row), data.name, reason))
        if wrong:
            result.masked.append(Rejected(int(data.row), data.name, "; ".join(wrong)))
    return result


def _values(cell: str, nodes: int, classes: bool) -> list[str]:
    """A cell's values, one a node."""
    if not cell.strip() or (_is_missing(cell) and len(cell) != nodes):
        return [""] * nodes
    if classes:
        # A blank at an end may be a letter: it is taken off only where it is one too many.
        letters = cell if len(cell) == nodes else cell.strip()
        return ["" if letter == UNLABELLED else letter for letter in letters]
    return re.split(r"[\s,;]+", cell.strip())


def _read(value: str, read: Callable[[str], float]) -> tuple[float, str | None]:
    """A value's number, or NaN and what is wrong with it."""
    if _is_missing(value):
        return math.nan, None
    try:
        return read(value), None
    except ValueError as error:
        return math.nan, str(error)


def _number(value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        raise ValueError(f"{_short(value)} is not a number") from None
    if not abs(number) <= LARGEST:
        raise ValueError(f"{_short(value)} is not finite in single precision")
    return number


def _class_reader(class_names: Sequence[str]) -> Callable[[str], float]:
    index = {name: float(i) for i, name in enumerate(class_names)}
    numbers = all(map(_is_number, class_names))

    def read(value: str) -> float:
        name = _number_name(value) if numbers and _is_number(value) else value
        if name not in index:
            raise ValueError(f"{_short(value)} is not one of {', '.join(class_names)}")
        return index[name]

    return read


def _class_names(present: Iterable[str]) -> list[str]:
    """The classes among the values that are there, sorted as numbers if all of them are."""
    finite = [value for value in present if not _is_infinite(value)]
    if all(map(_is_number, finite)):
        return sorted(set(map(_number_name, finite)), key=float)
    return sorted(finite)


def _is_missing(value: str) -> bool:
    return value.strip().lower() in MISSING


def _is_number(value: str) -> bool:
    try:
        return math.isfinite(float(value))
    except ValueError:
        return False


def _is_infinite(value: str) -> bool:
    try:
        return math.isinf(float(value))
    except ValueError:
        return False


def _number_name(value: str) -> str:
    """The same name for 1 and 1.0, of which a table may hold both."""
    number = float(value)
    return str(int(number)) if number.is_integer() else repr(number)


def _short(value: str) -> str:
    return repr(value if len(value) <= 40 else f"{value[:37]}...")
