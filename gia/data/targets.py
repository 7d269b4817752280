"""Raw cells of a table as targets: numbers, or the numbers of classes."""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import torch
from torch import Tensor

from gia.data.bounds import read_bound
from gia.data.items import Items, Rejected

# What pandas reads as missing too.
MISSING = {"", "na", "n/a", "#n/a", "<na>", "nan", "+nan", "-nan", "null", "none"}
# What stands for a residue without a label.
UNLABELLED = "?"
LARGEST = torch.finfo(torch.float32).max

NO_NUMBER = "is not a number"
LISTED = 20  # classes in a message

# Of every target the same classes, or a list for each target.
ClassNames: TypeAlias = Sequence[str] | Sequence[Sequence[str]]


@dataclass
class Targets:
    """The targets of n graphs.

    Attributes:
        y: of each graph, NaN where it is missing, cannot be read, or is a bound.
        class_names: the classes, of which ``y`` holds the number, see :func:`classes_of_each`;
            empty for regression.
        missing: the graphs that lack a target, and which.
        masked: the graphs with a target that is there but cannot be read, and why.
        notes: which words of classes may have stood for no value.
        bounds: of each graph the lower and the upper bound of each target, infinite where there is
            none; empty if no cell says any.

    Shapes:
        y: [1, T] each, or [N, T] for targets of nodes
        bounds: [1, T, 2] each, or [N, T, 2]
    """

    y: list[Tensor]
    class_names: list[str] | list[list[str]]
    missing: list[Rejected] = field(default_factory=list)
    masked: list[Rejected] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    bounds: list[Tensor] = field(default_factory=list)


def is_shared(class_names: ClassNames) -> bool:
    """Whether these are the classes of every target."""
    return all(isinstance(name, str) for name in class_names)


def classes_of_each(class_names: ClassNames, num_targets: int) -> list[list[str]]:
    """The classes of each target.

    Args:
        class_names: those of every target, or a list for each.
        num_targets: how many targets there are.
    """
    if is_shared(class_names):
        return [list(class_names)] * num_targets
    return [list(names) for names in class_names]


def class_sizes(class_names: ClassNames, out_channels: int) -> list[int]:
    """How many classes each target has; nothing where targets are numbers.

    Args:
        class_names: those of every target, or a list for each; empty for numbers.
        out_channels: what a model gives for all targets together, a number for each class.
    """
    shared = class_names and is_shared(class_names)
    targets = out_channels // len(class_names) if shared else len(class_names)
    return [len(names) for names in classes_of_each(class_names, targets)]


def joint_classes(each: Sequence[Sequence[str]]) -> list[str] | list[list[str]]:
    """What :func:`classes_of_each` takes apart: one list where all targets have the same."""
    each = [list(names) for names in each]
    return each[0] if all(names == each[0] for names in each) else each


def read_targets(items: Items, target_type: str, class_names: ClassNames | None = None) -> Targets:
    """The targets of items whose cells are text.

    A number is missing where its cell is empty or holds a word such as ``NA``; a class where its
    cell is empty, for such a word may be its name, unless all other classes are numbers. An
    infinite number stands for something that could not be measured and is masked; of a bound,
    ``<0.5``, the bound is known.

    Where targets are of nodes, a graph's cell is cut as its nodes were. It holds one letter or
    word a node for classes (``?`` for none), and for regression one number a node; words and
    numbers are separated by blanks, commas or semicolons.

    Args:
        items: the graphs and their cells.
        target_type: ``"regression"`` or ``"classification"``.
        class_names: of a trained model, see :func:`classes_of_each`; None takes them from the
            cells: those of each target, sorted, as numbers if all of them are.
    """
    classes = target_type == "classification"
    by_node = items.level == "node"
    nodes = [data.num_nodes if by_node else 1 for data in items.graphs]
    cut = [int(data.get("cut") or 0) if by_node else 0 for data in items.graphs]
    values = [
        [_values(cell, n + lost, classes) if by_node else [cell.strip()] for cell in cells]
        for n, lost, cells in zip(nodes, cut, items.cells, strict=True)
    ]
    number = len(items.target_names)
    result = Targets([], [])
    read: list[Callable[[str], float | tuple[float, float]]] = [_number] * number
    if classes:
        columns = [[value for row in values for value in row[t]] for t in range(number)]
        each = [_class_names(set(column)) for column in columns]
        each = each if class_names is None else classes_of_each(class_names, number)
        read = [_class_reader(names) for names in each]
        result.class_names = joint_classes(each) if class_names is None else list(class_names)
        if not by_node:
            result.notes = [
                word_note(times, name, word, "class" if word in names else "missing")
                for name, names, column in zip(items.target_names, each, columns, strict=True)
                for word, times in words_for_missing(column).items()
            ]
    for data, n, lost, row in zip(items.graphs, nodes, cut, values, strict=True):
        y, bounds = torch.full((n, number), math.nan), torch.tensor([-math.inf, math.inf])
        bounds = bounds.repeat(n, number, 1)
        wrong, absent = [], []
        for t, (name, cell) in enumerate(zip(items.target_names, row, strict=True)):
            if len(cell) != n + lost:
                wrong.append(f"target {name!r} has {len(cell)} values for {n + lost} nodes")
                continue
            numbers, reasons = zip(*(_read(value, read[t]) for value in cell[:n]), strict=True)
            for node, found in enumerate(numbers):
                if isinstance(found, tuple):
                    bounds[node, t] = torch.tensor(found)
                else:
                    y[node, t] = found
            told = [f"target {name!r}: {reason}" for reason in reasons if reason][:1]
            wrong += told
            if not told and y[:, t].isnan().all() and bounds[:, t].isinf().all():
                absent.append(name)
        result.y.append(y)
        result.bounds.append(bounds)
        if absent:
            reason = f"no target {', '.join(map(repr, absent))}"
            result.missing.append(Rejected(int(data.row), data.name, reason))
        if wrong:
            result.masked.append(Rejected(int(data.row), data.name, "; ".join(wrong)))
    if all(bounds.isinf().all() for bounds in result.bounds):
        result.bounds = []
    return result


def words_for_missing(cells: Iterable[str]) -> Counter[str]:
    """The words among these cells that mostly stand for no value, and how often."""
    return Counter(cell for cell in cells if cell and _is_missing(cell))


def word_note(number: int, column: str, word: str, taken: str) -> str:
    """What to say of a word that may have stood for no value.

    Args:
        number: how often it is there.
        column: where.
        word: the word.
        taken: for what it was taken: ``"class"``, ``"text"`` or ``"missing"``.
    """
    read = f"cell of {column!r} reads" if number == 1 else f"cells of {column!r} read"
    cells = f"{number:,} {read} {word!r}"
    if taken == "missing":
        return f"{cells}: taken as missing, as the other classes are numbers"
    return f"{cells}: taken as a {taken}; data.missing=[{word}] makes them missing"


def _values(cell: str, nodes: int, classes: bool) -> list[str]:
    """A cell's values, one a node."""
    if not cell.strip() or (_is_missing(cell) and len(cell) != nodes):
        return [""] * nodes
    if not classes:
        return separated(cell)
    if len(cell) == nodes:  # a blank may be a letter, also at an end
        letters = list(cell)
    else:
        words = separated(cell)
        letters = words if len(words) == nodes else list(cell.strip())
    return ["" if letter in (UNLABELLED, " ") else letter for letter in letters]


def separated(cell: str) -> list[str]:
    """The values of a cell, which blanks, commas or semicolons part."""
    return re.split(r"[\s,;]+", cell.strip())


def _read(
    value: str, read: Callable[[str], float | tuple[float, float]]
) -> tuple[float | tuple[float, float], str | None]:
    """A value's number or its bounds, or NaN and what is wrong with it, if anything is."""
    try:
        return read(value), None
    except ValueError as error:
        return math.nan, str(error)


def _number(value: str) -> float | tuple[float, float]:
    """A number, or the lower and the upper bound of one."""
    if _is_missing(value):
        return math.nan
    bounds = read_bound(value)
    try:
        number = to_float(value) if bounds is None else min(bounds, key=abs)
    except ValueError:
        raise ValueError(f"{shortened(value)} {NO_NUMBER}") from None
    if not abs(number) <= LARGEST:
        raise ValueError(f"{shortened(value)} is not finite in single precision")
    return number if bounds is None else bounds


def _class_reader(class_names: Sequence[str]) -> Callable[[str], float]:
    index = {name: float(i) for i, name in enumerate(class_names)}
    numbers = all(map(_is_number, class_names))

    def read(value: str) -> float:
        if not value.strip() or (numbers and _is_missing(value)):
            return math.nan
        name = _number_name(value) if numbers and _is_number(value) else value
        if name not in index:
            known = ", ".join(class_names[:LISTED]) + (", ..." if len(class_names) > LISTED else "")
            raise ValueError(f"{shortened(value)} is not one of {known}")
        return index[name]

    return read


def _class_names(present: Iterable[str]) -> list[str]:
    """The classes among the values that are there, sorted as numbers if all of them are."""
    names = [value for value in present if value.strip()]
    others = [name for name in names if not _is_missing(name) and not _is_infinite(name)]
    if others and all(map(_is_number, others)):
        return sorted(set(map(_number_name, others)), key=float)
    return sorted(names)


def _is_missing(value: str) -> bool:
    return value.strip().lower() in MISSING


def _is_number(value: str) -> bool:
    try:
        return math.isfinite(to_float(value))
    except ValueError:
        return False


def _is_infinite(value: str) -> bool:
    try:
        return math.isinf(to_float(value))
    except ValueError:
        return False


def to_float(value: str) -> float:
    """The number that a cell says.

    Raises:
        ValueError: if it says none.
    """
    if "_" in value:  # Python reads 1_000, nobody else does
        raise ValueError(f"{shortened(value)} {NO_NUMBER}")
    return float(value)


def _number_name(value: str) -> str:
    """The same name for 1 and 1.0, of which a table may hold both."""
    number = float(value)
    return str(int(number)) if number.is_integer() else repr(number)


def shortened(value: str) -> str:
    """A value in quotation marks, cut where it is long."""
    return repr(value if len(value) <= 40 else f"{value[:37]}...")
