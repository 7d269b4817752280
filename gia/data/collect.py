"""Items of any dataset, PyG's or a list, as the schema has them."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch_geometric.data
from torch_geometric.data import Data

from gia.data.cache import digest, processed
from gia.data.chemistry import same_molecule
from gia.data.components import BETWEEN, components
from gia.data.items import Items, Rejected
from gia.data.progress import progress
from gia.data.residues import same_sequence
from gia.data.schema import (
    check_alike,
    check_readable,
    conform,
    name_of,
    not_finite,
    number_of_components,
)
from gia.data.targets import ClassNames
from gia.data.tensor_targets import Target, read_tensors
from gia.data.transforms import Steps, described, in_order
from gia.data.view import View

# Which attributes say what splits compare, and what that is.
COMPARED = {"text": "name", "smiles": "smiles", "sequence": "sequence"}
# What is the same for the same item, however it is written.
SAME = {"smiles": same_molecule, "sequence": same_sequence}


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
        data = conform(self.steps(data), data.get("row", 0))
        return data if self.target is None else self.target(data)


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
    once, always = in_order(own, pre_transform, transform)
    kept, later = _read(dataset, once), Prepare(always)
    found = list(View(kept, later) if always else map(copy.copy, kept))
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
    same, parts = SAME.get(items.kind, str), number_of_components(found)
    each_named = (len(components(str(data.get("smiles")))) == parts for data in found)
    if items.kind == "smiles" and parts > 1 and all(each_named):
        items.components = {f"component {number}": items.kind for number in range(parts)}
    pairs = zip(kept, found, strict=True)
    for before, data in progress(pairs, len(found), "comparing items"):
        text = str(data[known[0]] if known else data.get("name"))
        each = components(text) if items.components else [text]
        before.text = data.text = BETWEEN.join(map(same, each))
    check_alike(found)
    notes = check_readable(found)
    if target_type in ("regression", "classification"):
        reader, items = read_tensors(
            items, target, level, target_type == "classification", class_names
        )
        later = replace(later, target=reader)
    items.notes.extend(notes)
    return replace(items, graphs=View(kept, later)) if always else items


def _read(dataset: Sequence[Data], steps: Steps) -> list[Data]:
    """All items with a name, after what is done to each of them once; kept if they can be."""

    def build() -> Items:
        rows = progress(range(len(dataset)), len(dataset), "reading items")
        graphs = [conform(_named(dataset[row], row), row) for row in rows]
        if steps:
            graphs = [conform(steps(data.clone()), data.row) for data in graphs]
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
    elif target is not None and not _is_known(data, target):
        reason = f"its {target!r} is unknown"
    return None if reason is None else Rejected(data.row, data.name, reason)


def _is_known(data: Data, target: str) -> bool:
    """Whether some target of an item has a value or a bound."""
    bounds = data.get("y_bounds")
    bounded = bounds is not None and bool(torch.as_tensor(bounds).isfinite().any())
    return bounded or not bool(torch.as_tensor(data[target]).to(torch.float32).isnan().all())


def _numbers(value: Any) -> bool:
    try:
        return torch.as_tensor(value).numel() > 0
    except (TypeError, ValueError, RuntimeError):
        return False
