"""Numbers and tables of a report as Markdown."""

import math
from collections.abc import Iterable, Sequence

from gia_duel.plan import Dataset
from gia_duel.results import Row
from gia_duel.statistics import Difference, Sample

NONE = "missing"


def number(value: float, error: float, signed: bool = False) -> str:
    """A number with the digits that its error leaves, two of the error's own."""
    known = math.isfinite(error) and error > 1e-9 * abs(value)  # else it is of rounding alone
    scale = error if known else abs(value) / 100 or 1
    decimals = min(max(1 - math.floor(math.log10(scale)), 0), 6)
    return f"{value:{'+' if signed else ''},.{decimals}f}"


def mean_text(row: Row, part: str = "test") -> str:
    """The mean of a variant over the replicates that are there, with its standard error."""
    values = list(row.values(part).values())
    return sample_text(values) if values else NONE


def sample_text(values: Sequence[float], signed: bool = False) -> str:
    """The mean of at least one number, with its standard error if there are several."""
    sample = Sample.of(values)
    text = number(sample.mean, sample.error, signed=signed)
    return text if sample.number < 2 else f"{text} ± {number(sample.error, sample.error)}"


def part_text(row: Row, dataset: Dataset) -> str:
    """How many replicates of a data set a variant has, where it has some and not all of them."""
    part = 0 < len(row.chosen) < dataset.replicates
    return f" (n={len(row.chosen)})" if part else ""


def difference_text(difference: Difference) -> str:
    """A mean difference with its interval, if there is one."""
    mean = number(difference.mean, difference.error, signed=True)
    if math.isnan(difference.error):
        return mean
    interval = interval_text(difference.low, difference.high, difference.error)
    bold = "**" if difference.clear in ("win", "loss") else ""
    return f"{bold}{mean}{bold} ({interval})"


def interval_text(low: float, high: float, error: float) -> str:
    """The ends of an interval of differences, with the digits that an error leaves."""
    return " to ".join(number(end, error, signed=True) for end in (low, high))


def spread_text(row: Row) -> str:
    """The standard deviation of a variant on test over its replicates, and its extremes."""
    values = list(row.values("test").values())
    if len(values) < 2:
        return "-"
    sample = Sample.of(values)
    ends = (number(end, sample.error) for end in (sample.lowest, sample.highest))
    return f"{number(sample.spread, sample.error)} ({' to '.join(ends)})"


def grid(heads: Sequence[str], rows: Iterable[Sequence[str]], left: Sequence[int]) -> str:
    """A table; the columns of ``left`` begin at the left, the others end at the right."""
    rule = [":--" if i in left else "--:" for i in range(len(heads))]
    lines = ([cell.replace("|", "\\|") for cell in row] for row in rows)
    return "\n".join(f"| {' | '.join(line)} |" for line in (heads, rule, *lines))
