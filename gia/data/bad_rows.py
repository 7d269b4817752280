"""What is done with rows that make no graph or lack a target: told once, by number and reason."""

from collections.abc import Sequence
from dataclasses import replace

import torch

from gia.data.bounds import bound_notes, first_bound, is_bounded
from gia.data.items import Items, Rejected
from gia.data.targets import NO_NUMBER, Targets, classes_of_each

# How many rows an error names.
NAMED = 5


class NothingLeft(ValueError):
    """No row became an item.

    Attributes:
        items: with the reason of each row.
    """

    def __init__(self, message: str, items: Items) -> None:
        super().__init__(message)
        self.items = items


def sort_out(items: Items, targets: Targets, keep_all: bool = False) -> Items:
    """The items with the targets that were read; those without any are rejected.

    Args:
        items: whose graphs get their ``y``.
        targets: of them.
        keep_all: keep those without any target, of which a trained model is to say one.

    Returns:
        The items that stay, and as ``rejected`` and ``masked`` the rows that do not and those that
        lack some target; rows in order, each with all its reasons.
    """
    missing = [] if keep_all else targets.missing
    reasons: dict[int, list[str]] = {}
    for entry in [*targets.masked, *missing]:
        reasons.setdefault(entry.row, []).append(entry.reason)
    graphs, rejected, masked = [], list(items.rejected), []
    bounds = targets.bounds or [None] * len(targets.y)
    for data, y, within in zip(items.graphs, targets.y, bounds, strict=True):
        reason = "; ".join(reasons.get(data.row, ["no target"]))
        entry = Rejected(int(data.row), data.name, reason)
        known = not y.isnan().all() or (within is not None and within.isfinite().any())
        if not known and not keep_all:
            rejected.append(entry)
            continue
        data.y = y
        if within is not None:
            data.y_bounds = within
        graphs.append(data)
        if data.row in reasons:
            masked.append(entry)
    return replace(
        items,
        graphs=graphs,
        cells=[],
        rejected=sorted(rejected, key=lambda entry: entry.row),
        masked=masked,
        class_names=targets.class_names,
        notes=[*items.notes, *targets.notes, *bound_notes(items.target_names, graphs)],
    )


def refuse(items: Items, rows: Sequence[Rejected]) -> None:
    """What ``data.strict=true`` asks for.

    Args:
        items: with their unknown symbols.
        rows: those that would be skipped or masked.

    Raises:
        ValueError: if there is anything to complain about.
    """
    if items.unknown:
        symbols = ", ".join(f"{symbol!r} ({n})" for symbol, n in items.unknown.items())
        raise ValueError(
            f"data.strict=true, but the alphabet lacks {symbols}, first in record "
            f"{items.first_unknown!r}: correct the data, or use data.strict=false to read them as "
            "<unk>"
        )
    if rows:
        raise ValueError(
            f"data.strict=true, but {len(rows)} rows cannot be used: {listed(rows)}: correct "
            "them, or use data.strict=false to skip, mask or fill them"
        )


def check_usable(items: Items, target_type: str, *, predicting: bool) -> None:
    """See that there is something to learn, or for a trained model something to predict.

    Raises:
        ValueError: if no item is left, all are of one class, or no number is more than a bound.
    """
    if not len(items.graphs):
        hint = "; for classes use task=classification"
        learns_numbers = target_type == "regression" and not predicting
        hint = hint if learns_numbers and _look_like_classes(items.rejected) else ""
        what = "sequence" if target_type == "next_token" else "graph with a target"
        raise NothingLeft(
            f"no {what} is left of {len(items.rejected)} rows: {listed(items.rejected)}{hint}",
            items,
        )
    if predicting or target_type == "next_token" or not items.target_names:
        return
    if target_type == "regression":
        _check_measured(items)
        return
    y = torch.cat([data.y for data in items.graphs])
    each = classes_of_each(items.class_names, y.size(1))
    present = [
        [names[int(i)] for i in column[~column.isnan()].unique()]
        for names, column in zip(each, y.T, strict=True)
    ]
    for name, classes in zip(items.target_names, present, strict=True):
        if len(classes) == 1:
            which = "targets" if len(present) == 1 else f"values of {name!r}"
            way = "" if len(present) == 1 else ": leave it out"
            raise ValueError(
                f"there must be at least two classes to tell apart, but all {which} are "
                f"{classes[0]}{way}"
            )


def _check_measured(items: Items) -> None:
    """See that each target is measured somewhere: bounds alone have no scale."""
    known = torch.cat([~data.y.isnan() for data in items.graphs]).any(0).tolist()
    unmeasured = [t for t, measured in enumerate(known) if not measured]
    for t in unmeasured:
        name = items.target_names[t]
        bounded = [data for data in items.graphs if is_bounded(data)[:, t].any()]
        if bounded:
            first = bounded[0]
            raise ValueError(
                f"all {len(bounded):,} values of {name!r} are bounds, the first "
                f"{first_bound(first, t)!r} in row {first.row}: give rows with measured values "
                "too, or leave it out of data.target_column"
            )


def _look_like_classes(rows: Sequence[Rejected]) -> bool:
    """Whether all lack a number for words of which there are only a few."""
    reasons = {entry.reason for entry in rows}
    return all(NO_NUMBER in reason for reason in reasons) and len(reasons) <= len(rows) / 2


def listed(rows: Sequence[Rejected]) -> str:
    """The first of these rows in words."""
    named = "; ".join(f"row {entry.row} ({entry.name}): {entry.reason}" for entry in rows[:NAMED])
    return named + (f"; and {len(rows) - NAMED} more" if len(rows) > NAMED else "")
