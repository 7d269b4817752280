"""Items of any dataset, PyG's or a list, as the schema has them."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch_geometric.data
from torch import Tensor
from torch_geometric.data import Data

from gia.data.cache import digest, processed
from gia.data.chemistry import same_molecule
from gia.data.items import Items, Rejected, progress
from gia.data.residues import same_sequence
from gia.data.schema import check_alike, check_readable, conform, name_of, not_finite
from gia.data.targets import ClassNames, classes_of_each, joint_classes
from gia.data.transforms import Steps, described
from gia.data.view import View

# Which attributes say what splits compare, and what that is.
COMPARED = {"text": "name", "smiles": "smiles", "sequence": "sequence"}
# What is the same for the same item, however it is written.
SAME = {"smiles": same_molecule, "sequence": same_sequence}
# What an item is known by, and its target: both outlive a transform that begins a new Data.
KEPT = ("name", "row", "text", "smiles", "sequence", "cut", "y")
# The share of its spread that a target may lose in single precision before that is told.
ROUNDED = 0.01


@dataclass(frozen=True)
class Prepare:
    """From an item of any dataset to one of the schema.

    Attributes:
        steps: transforms, called first.
        target: what reads the target; None leaves ``y`` as it is.
    """

    steps: Steps
    target: Target | None = None

    def __call__(self, data: Data) -> Data:
        data = conform(_kept(self.steps(data), data), data.get("row", 0))
        return data if self.target is None else self.target(data)


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


def collect(
    dataset: Sequence[Data],
    *,
    target: str = "y",
    level: str | None = None,
    target_type: str | None = "regression",
    class_names: ClassNames | None = None,
    labelled: bool = True,
    pre_transform: Any = None,
    transform: Any = None,
) -> Items:
    """The items of a dataset, and what is found to be known of them.

    Args:
        dataset: a PyG ``Dataset``, or a sequence of ``Data``.
        target: the attribute that holds the target.
        level: ``"graph"`` or ``"node"``, whose target it is; None finds it from its shape.
        target_type: ``"regression"``, ``"classification"``, or ``"next_token"``, for which ``y``
            is as :class:`gia.data.NextToken` makes it.
        class_names: of a trained model, see :func:`gia.data.targets.classes_of_each`; None takes
            the classes from the data.
        labelled: an item without a target is rejected; otherwise its target is unknown.
        pre_transform: called with each item once; but where the dataset has a transform of its own,
            after that, so whenever it is fetched.
        transform: called with each item whenever it is fetched.

    Raises:
        ValueError: if the items cannot be used, see the message.
    """
    if not len(dataset):
        raise ValueError(f"{type(dataset).__name__} is empty: it has no items")
    own = dataset.transform if isinstance(dataset, torch_geometric.data.Dataset) else None
    if own is not None:  # it is called when an item is fetched, as ours is
        dataset = copy.copy(dataset)
        dataset.transform = None
    once, always = (None, [own, pre_transform]) if own is not None else (pre_transform, None)
    kept = _read(dataset, Steps(once))
    later = Prepare(Steps([Steps(always), Steps(transform)]))
    found = list(View(kept, later)) if later.steps else [later(data) for data in kept]
    rejected = [r for r in map(_reason, found, [target if labelled else None] * len(found)) if r]
    lost = {entry.row for entry in rejected}
    pairs = [(a, b) for a, b in zip(kept, found, strict=True) if b.row not in lost]
    kept, found = [a for a, _ in pairs], [b for _, b in pairs]
    known = [key for key in COMPARED if isinstance(kept[0].get(key), str)] if kept else []
    items = Items(
        graphs=found,
        rejected=rejected,
        kind=COMPARED[known[0]] if known else "name",
        num_rows=len(dataset),
        level="node",
    )
    if not found:
        return items
    if labelled and len(dataset) == 1:
        raise ValueError(
            f"{type(dataset).__name__} is one graph: gia trains on many, and splits no single one "
            "by its train_mask; give a dataset of several graphs"
        )
    same = SAME.get(items.kind, str)
    pairs = zip(kept, found, strict=True)
    for before, data in progress(pairs, len(found), "comparing items"):
        before.text = data.text = same(str(data[known[0]] if known else data.get("name")))
    check_alike(found)
    notes = check_readable(found)
    if target_type in ("regression", "classification"):
        reader, items = _targets(items, target, level, target_type == "classification", class_names)
        later = replace(later, target=reader)
    items.notes.extend(notes)
    if later.steps:
        return replace(items, graphs=View([_named(d, d.row) for d in kept], later))
    return items


def as_rows(y: Tensor, level: str) -> Tensor:
    """A target as ``[1, T]`` of a graph, or ``[N, T]`` of its nodes, int64 or float64."""
    y = y.to(torch.float64 if y.is_floating_point() else torch.long)  # classes may be large
    if level == "node":
        return y.unsqueeze(1) if y.dim() == 1 else y
    return y.reshape(1, -1)


def _read(dataset: Sequence[Data], steps: Steps) -> list[Data]:
    """All items with a name, after what is done to each of them once; kept if they can be."""

    def build() -> Items:
        rows = progress(range(len(dataset)), len(dataset), "reading items")
        graphs = [conform(_named(dataset[row], row), row) for row in rows]
        if steps:
            graphs = [conform(_kept(steps(data.clone()), data), data.row) for data in graphs]
        return Items(graphs=graphs)

    key, how = getattr(dataset, "digest", None), described(steps)
    subset = getattr(dataset, "_indices", None) is not None  # PyG's, of which no digest knows
    if key is None or how is None or subset:
        return list(build().graphs)
    return list(processed(digest("items", key(), how), build).graphs)


def _named(data: Any, row: int) -> Any:
    if not isinstance(data, Data):
        return data  # conform says what is wrong with it
    data = copy.copy(data)
    data.name, data.row = name_of(data, row), row
    return data


def _kept(made: Any, data: Data) -> Any:
    """What a transform made, with what it left out: it may have begun a new ``Data``."""
    if isinstance(made, Data):
        for key in KEPT:
            if key in data and key not in made:
                made[key] = data[key]
    return made


def _reason(data: Data, target: str | None) -> Rejected | None:
    """Why an item cannot be trained on."""
    reason = None
    if data.num_nodes == 0:
        reason = "it is empty: it has no nodes"
    elif key := not_finite(data):
        reason = f"its {key!r} holds NaN or an infinity"
    elif target is not None and data.get(target) is None:
        has = ", ".join(key for key in data.to_dict() if key not in ("name", "row", "num_nodes"))
        reason = f"it has no attribute {target!r} (data.target), but {has}"
    elif target is not None and not _numbers(data[target]):
        reason = f"its {target!r} is no tensor of numbers: give classes as integers"
    elif target is not None and torch.as_tensor(data[target]).to(torch.float32).isnan().all():
        reason = f"its {target!r} is unknown"
    return None if reason is None else Rejected(data.row, data.name, reason)


def _numbers(value: Any) -> bool:
    try:
        return torch.as_tensor(value).numel() > 0
    except (TypeError, ValueError, RuntimeError):
        return False


def _targets(
    items: Items, name: str, level: str | None, classes: bool, class_names: ClassNames | None
) -> tuple[Target, Items]:
    """What reads the targets, and the items with their targets read."""
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
