"""Values that lie beyond what could be measured: ``<0.5``, ``>= 10``."""

import math
import re
from collections.abc import Sequence

import torch
from torch import Tensor
from torch_geometric.data import Data

# What stands before the number.
SIGN = r"(?:<<|<=|<|>>|>=|>|≤|≥|⩽|⩾)\s*"
BOUND = re.compile(rf"({SIGN})([-+]?(?:\d+[.,]?\d*|[.,]\d+)(?:[eE][-+]?\d+)?)")
BELOW = "<≤⩽"


def read_bound(value: str) -> tuple[float, float] | None:
    """The lower and the upper bound that a cell says, one of them infinite; None if it says none.

    Raises:
        ValueError: if its number has a comma.
    """
    found = BOUND.fullmatch(value.strip())
    if found is None:
        return None
    sign, number = found.groups()
    if "," in number:
        raise ValueError(f"{value!r} is a bound with a comma: write its number with a point")
    number = float(number)
    return (-math.inf, number) if sign[0] in BELOW else (number, math.inf)


def bound_text(bounds: Sequence[float]) -> str:
    """What :func:`read_bound` reads; empty if both are infinite."""
    lower, upper = bounds
    if math.isfinite(lower):
        return f">{lower:g}"
    return f"<{upper:g}" if math.isfinite(upper) else ""


def is_bounded(data: Data) -> Tensor:
    """Which targets of an item are known by a bound alone, in the shape of ``y``."""
    bounds = data.get("y_bounds")
    if bounds is None:
        return torch.zeros_like(data.y, dtype=torch.bool)
    return bounds.isfinite().any(-1)


def bound_notes(names: Sequence[str], graphs: Sequence[Data]) -> list[str]:
    """How many values of each target are bounds, with the first one."""
    graphs, notes = [data for data in graphs if "y_bounds" in data], []
    for t, name in enumerate(names):
        where = [data for data in graphs if is_bounded(data)[:, t].any()]
        if where:
            first = where[0]
            number = sum(int(is_bounded(data)[:, t].sum()) for data in where)
            what = "value is a bound" if number == 1 else "values are bounds"
            notes.append(
                f"{number:,} {what} of {name!r}, the first {first_bound(first, t)!r} in row "
                f"{first.row}: they are learned as bounds, and metrics leave them out"
            )
    return notes


def first_bound(data: Data, target: int) -> str:
    """The first bound of an item's target, as text."""
    node = int(is_bounded(data)[:, target].nonzero()[0])
    return bound_text(data.y_bounds[node, target].tolist())
