"""How much each item counts: in the loss, and in what an epoch draws."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import Data

from gia.data.bad_rows import listed
from gia.data.items import Items, Rejected
from gia.data.targets import classes_of_each, shortened

NAMED = 5  # classes of one row in a note


def check_weighing(
    target_type: str, weight_column: str | None, balanced: bool, tokens_per_batch: int | None
) -> None:
    """See that options of the data fit each other.

    Raises:
        ValueError: if they do not.
    """
    for option, value in (("weight_column", weight_column), ("balanced", balanced)):
        if value and target_type == "next_token":
            raise ValueError(
                f"data.{option} is about targets, but a language model has none: leave it out"
            )
    if balanced and target_type != "classification":
        raise ValueError("data.balanced=true balances classes: use task=classification")
    if balanced and tokens_per_batch is not None:
        raise ValueError(
            f"data.balanced=true draws graphs, but data.tokens_per_batch={tokens_per_batch} counts "
            "tokens: give data.tokens_per_batch=null data.batch_size=64"
        )


def check_balanced(items: Items) -> None:
    """See that each graph is of one class.

    Raises:
        ValueError: if it is not.
    """
    number = len(items.target_names)
    if items.level != "graph" or number != 1:
        raise ValueError(
            "data.balanced=true draws graphs by their class, but here a "
            f"{items.level} has {number} target{'s' if number > 1 else ''}: "
            "task.class_weights=balanced weighs the classes instead"
        )


def weigh(graphs: Sequence[Data], dataset: Any, column: str, level: str) -> None:
    """Give each item its ``weight``, a number for each row of its targets, in place.

    Args:
        graphs: the items.
        dataset: one of gia's, whose ``column(name, option)`` has a cell for each row, or another,
            whose items have an attribute of this name.
        column: the name.
        level: what has targets, ``"graph"`` or ``"node"``.

    Raises:
        ValueError: if there is no such column, or a weight is negative or no number, by row.
    """
    if hasattr(dataset, "column"):
        cells = dataset.column(column, "weight_column")
        values = [cells[int(data.row)] for data in graphs]
    else:
        values = [data.get(column, "") for data in graphs]
    weights = list(map(_weight, values))
    wrong = [
        Rejected(int(data.row), data.name, shortened(str(value)))
        for data, value, weight in zip(graphs, values, weights, strict=True)
        if not 0 <= weight < math.inf
    ]
    if wrong:
        raise ValueError(
            f"data.weight_column={column}: {len(wrong):,} rows have no number of at least 0: "
            f"{listed(wrong)} (rows are counted from 0); 0 leaves a row out of the loss"
        )
    for data, weight in zip(graphs, weights, strict=True):
        data.weight = torch.full((data.num_nodes if level == "node" else 1,), weight)


def weight_statistics(
    graphs: Sequence[Data], items: Items, balanced: bool = False
) -> dict[str, float | list[list[int]]]:
    """``mean_weight``, and ``class_counts`` as an epoch has them.

    Args:
        graphs: of the training part.
        items: what they are some of.
        balanced: whether all classes are drawn equally often.
    """
    counts = class_counts(graphs, items)
    return {
        "mean_weight": mean_weight(graphs),
        "class_counts": drawn_equally(counts) if balanced else counts,
    }


def mean_weight(graphs: Sequence[Data]) -> float:
    """The mean weight of the rows of targets; 1 if there are no weights.

    Raises:
        ValueError: if all are 0.
    """
    if not graphs or graphs[0].get("weight") is None:
        return 1.0
    mean = float(torch.cat([data.weight for data in graphs]).double().mean())
    if mean == 0:
        raise ValueError(
            "data.weight_column is 0 throughout the training part of the split: nothing would be "
            "learned; give another column, or leave it out"
        )
    return mean


def class_counts(graphs: Sequence[Data], items: Items) -> list[list[int]]:
    """How often each class of each target is there; empty where targets are no classes."""
    if not items.class_names or not graphs:
        return []
    y = torch.cat([data.y for data in graphs])
    each = classes_of_each(items.class_names, y.size(1))
    return [
        column[~column.isnan()].long().bincount(minlength=len(names)).tolist()
        for names, column in zip(each, y.T, strict=True)
    ]


def drawn_equally(counts: Sequence[Sequence[int]]) -> list[list[int]]:
    """How often each class is there in an epoch that draws all of them equally often."""
    return [
        [round(sum(of_one) / sum(map(bool, of_one))) if count else 0 for count in of_one]
        for of_one in counts
    ]


def balancing_weights(graphs: Sequence[Data], counts: Sequence[Sequence[int]]) -> Tensor:
    """How likely each item is drawn, so that all classes come up equally often, ``[n]``.

    Args:
        graphs: n items with one target, a class.
        counts: of :func:`class_counts`.
    """
    of_class = torch.tensor(counts[0], dtype=torch.double).clamp(min=1)
    return 1 / of_class[torch.cat([data.y for data in graphs])[:, 0].long()]


def lonely_classes(items: Items) -> list[str]:
    """What to say of classes that one row alone has."""
    graphs = list(items.graphs)
    found = []
    for t, counts in enumerate(class_counts(graphs, items)):
        names = classes_of_each(items.class_names, len(items.target_names))[t]
        for index in (i for i, count in enumerate(counts) if count == 1):
            only = next(data for data in graphs if (data.y[:, t] == index).any())
            found.append(f"{names[index]!r} of {items.target_names[t]!r} (row {only.row})")
    if not found:
        return []
    more = f" and {len(found) - NAMED:,} more" if len(found) > NAMED else ""
    what = "the class" if len(found) == 1 else f"{len(found):,} classes"
    return [
        f"one row alone has {what} {', '.join(found[:NAMED])}{more}: it cannot be both learned and "
        "measured; join it with another class, or leave the row out"
    ]


def _weight(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan
