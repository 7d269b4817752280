"""Targets that the items of any dataset hold as tensors: numbers, or the numbers of classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch_geometric.data import Data

from gia.data.items import Items
from gia.data.targets import ClassNames, classes_of_each, joint_classes

# The share of its spread that a target may lose in single precision before that is told.
ROUNDED = 0.01


@dataclass(frozen=True)
class Target:
    """What of an item is its target.

    Attributes:
        name: the attribute.
        level: ``"graph"`` or ``"node"``.
        classes: of each target the values that stand for classes, sorted; None for numbers.
    """

    name: str
    level: str
    classes: Sequence[Tensor] | None = None

    def __call__(self, data: Data) -> Data:
        """The item with ``y``, ``[1, T]`` or ``[N, T]``."""
        y = as_rows(torch.as_tensor(data[self.name]), self.level)
        if self.classes is not None:
            y = torch.stack(list(map(_numbered, y.T, self.classes)), dim=1)
        y = y.to(torch.float32)
        data.y = y.masked_fill(~y.isfinite(), torch.nan)
        return data


def read_tensors(
    items: Items, name: str, level: str | None, classes: bool, class_names: ClassNames | None
) -> tuple[Target, Items]:
    """What reads the targets, and the items with their targets read.

    Args:
        items: the items.
        name: the attribute that holds their targets.
        level: ``"graph"`` or ``"node"``; None finds it from the shapes.
        classes: whether the targets are classes.
        class_names: of a trained model, see :func:`gia.data.targets.classes_of_each`; None takes
            the classes from the data.

    Raises:
        ValueError: naming the item whose target does not fit.
    """
    absent = [data for data in items.graphs if data.get(name) is None]
    for data in absent:  # of a prediction
        data[name] = torch.full((data.num_nodes if level == "node" else 1,), torch.nan)
    values = [torch.as_tensor(data[name]) for data in items.graphs]
    level = _level(values, items.graphs, name) if level is None else level
    rows = [as_rows(value, level) for value in values]
    for data, y in zip(items.graphs, rows, strict=True):
        wanted = data.num_nodes if level == "node" else 1
        if y.dim() != 2 or y.size(0) != wanted or y.size(1) != rows[0].size(1):
            raise ValueError(
                f"row {data.row} ({data.name}) has {name} {list(torch.as_tensor(data[name]).shape)}"
                f" with {data.num_nodes} nodes, which is no target of the {level} like that of "
                f"{items.graphs[0].name}, {list(values[0].shape)}: name another with data.target, "
                "or say data.level=graph or node"
            )
    reader = Target(name, level)
    if classes:
        known = classes_of_each(class_names or [], rows[0].size(1))
        columns = torch.cat(rows).T
        reader = replace(
            reader, classes=[_classes(y, name, k) for y, k in zip(columns, known, strict=True)]
        )
        names = joint_classes([str(int(v)) for v in of_one] for of_one in reader.classes)
        items = replace(items, class_names=list(class_names) if class_names else names)
    count = rows[0].size(1)
    names = [name] if count == 1 else [f"{name}_{i}" for i in range(count)]
    graphs = [reader(data) for data in items.graphs]
    notes = [] if classes else _rounded(torch.cat(rows), names)
    return reader, replace(items, graphs=graphs, level=level, target_names=names, notes=notes)


def _rounded(y: Tensor, names: Sequence[str]) -> list[str]:
    """What single precision loses of targets that differ little for their size."""
    y = y.double()
    lost, spread = (y - y.float()).abs().nan_to_num(0, 0), (y - y.nanmean(0)).abs().nanmean(0)
    return [
        f"{name} differs by {own:.3g} on average and is rounded by up to {most:.3g} in single "
        "precision: take its mean off before"
        for name, own, most in zip(names, spread.tolist(), lost.amax(0).tolist(), strict=True)
        if most > ROUNDED * own
    ]


def _level(values: Sequence[Tensor], graphs: Sequence[Data], name: str) -> str:
    nodes = [data.num_nodes for data in graphs]
    rows = [value.size(0) if value.dim() else 1 for value in values]
    if all(number == 1 for number in rows):
        return "graph"
    if rows == nodes:
        return "node"
    if all(value.dim() == 1 and value.shape == values[0].shape for value in values):
        return "graph"  # several targets each
    wrong = next(i for i, pair in enumerate(zip(rows, nodes, strict=True)) if pair[0] != pair[1])
    raise ValueError(
        f"row {graphs[wrong].row} ({graphs[wrong].name}) has {name} {list(values[wrong].shape)}, "
        f"which is neither one target of the graph nor one of each of its {nodes[wrong]} nodes: "
        "name another attribute with data.target=..."
    )


def _numbered(y: Tensor, classes: Tensor) -> Tensor:
    """The number of each class; NaN where it is none of these."""
    if not len(classes):
        return torch.full(y.shape, torch.nan)
    sought = y.nan_to_num().to(classes.dtype).contiguous()
    number = torch.searchsorted(classes, sought).clamp(max=len(classes) - 1)
    return number.float().masked_fill((classes[number] != sought) | (sought != y), torch.nan)


def _classes(numbers: Tensor, name: str, class_names: Sequence[str]) -> Tensor:
    if class_names:
        return torch.tensor([_number(known) for known in class_names])
    values = numbers[numbers.isfinite()].unique()
    if (values != values.round()).any():
        broken = float(values[values != values.round()][0])
        raise ValueError(
            f"data.target={name} holds {broken:g}, which is no class: for numbers use "
            "task=regression"
        )
    return values


def _number(name: str) -> int | float:
    try:
        return int(name)
    except ValueError:
        return float(name)


def as_rows(y: Tensor, level: str) -> Tensor:
    """A target as ``[1, T]`` of a graph, or ``[N, T]`` of its nodes, int64 or float64."""
    y = y.to(torch.float64 if y.is_floating_point() else torch.long)  # classes may be large
    if level == "node":
        return y.unsqueeze(1) if y.dim() == 1 else y
    return y.reshape(1, -1)
