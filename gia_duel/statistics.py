"""Means, errors and paired differences over replicates, and the rule that says who is ahead."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

CONFIDENCE = 0.95
RULE = (
    "A win is a mean paired difference of more than one standard error in our favour, a loss one "
    "of more than one standard error against us, and everything between is a tie; the standard "
    "error is that of the paired difference."
)


@dataclass(frozen=True)
class Sample:
    """A metric over replicates.

    Attributes:
        number (int): Replicates n.
        mean (float): Their mean.
        spread (float): Standard deviation, with n - 1; NaN for one replicate.
        error (float): Standard error of the mean, spread over the root of n.
        lowest, highest (float): The extremes.
    """

    number: int
    mean: float
    spread: float
    error: float
    lowest: float
    highest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Sample":
        """The sample of at least one value."""
        x = np.asarray(values, dtype=float)
        if x.ndim != 1 or not x.size:
            raise ValueError(f"a sample needs at least one number, got {list(values)}")
        spread = float(x.std(ddof=1)) if x.size > 1 else math.nan
        return cls(
            x.size, float(x.mean()), spread, spread / math.sqrt(x.size), float(x.min()),
            float(x.max()),
        )  # fmt: skip


@dataclass(frozen=True)
class Difference:
    """How much better one side is than another on the same replicates; above 0: better.

    Attributes:
        number (int): Replicates that both have.
        mean (float): Mean of the differences.
        error (float): Its standard error; NaN for one replicate.
        low, high (float): The 95 % interval of Student's t; NaN for one replicate.
    """

    number: int
    mean: float
    error: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """``win``, ``tie`` or ``loss`` by :data:`RULE`; ``undecided`` without a standard error."""
        if math.isnan(self.error):
            return "undecided"
        # Equal up to rounding counts as within: so it is with two replicates of which one is even.
        if abs(self.mean) <= self.error * (1 + 1e-9):
            return "tie"
        return "win" if self.mean > 0 else "loss"

    @property
    def clear(self) -> str:
        """``win`` or ``loss`` where the interval leaves 0 out, otherwise ``tie``; ``undecided``
        without an interval."""
        if math.isnan(self.error):
            return "undecided"
        return "win" if self.low > 0 else "loss" if self.high < 0 else "tie"


def paired(ours: Mapping[int, float], theirs: Mapping[int, float], better: str) -> Difference:
    r"""The mean of the differences :math:`d_r` over replicates r, and its t-interval.

    .. math::
        \bar d \pm t_{0.975, n-1} \, s_d / \sqrt n, \quad
        d_r = \pm (\text{ours}_r - \text{theirs}_r)

    Args:
        ours, theirs (dict): The metric by replicate; replicates of one side alone do not count.
        better (str): ``lower`` or ``higher``, which gives the differences their sign.

    Raises:
        ValueError: If they have no replicate in common.
    """
    common = sorted(ours.keys() & theirs.keys())
    sign = 1 if better == "higher" else -1
    sample = Sample.of([sign * (ours[r] - theirs[r]) for r in common])
    low = high = math.nan
    if sample.number > 1:
        width = stats.t.ppf((1 + CONFIDENCE) / 2, sample.number - 1) * sample.error
        low, high = sample.mean - width, sample.mean + width
    return Difference(sample.number, sample.mean, sample.error, low, high)


def bootstrap(parts: Sequence[tuple[ArrayLike, ArrayLike]], samples: int) -> tuple[float, float]:
    r"""The interval of how much less a symbol costs on one side, over the sequences of test parts.

    The sequences of each test part are drawn with repetition, the same ones for both sides, and the
    mean difference over the parts is taken, so many times. Each call has the same draws (`Efron and
    Tibshirani, 1993, chapter 13 <https://doi.org/10.1201/9780429246593>`_).

    Args:
        parts (list of pairs): Of each test part nats and symbols of every sequence on our side and
            on theirs, ``[M, 2]``, in the same order. They are taken to be independent.
        samples (int): How many times.

    Returns:
        The ends of the 95 % interval of theirs - ours, in nats per symbol.

    Raises:
        ValueError: If the two sides are not about the same sequences.
    """
    draw = np.random.default_rng(0)
    total = np.zeros(samples)
    for ours, theirs in parts:
        ours, theirs = np.asarray(ours, dtype=float), np.asarray(theirs, dtype=float)
        if ours.shape != theirs.shape or (ours[:, 1] != theirs[:, 1]).any():
            raise ValueError("two runs of one replicate were tested on other sequences")
        counts = draw.multinomial(len(ours), np.full(len(ours), 1 / len(ours)), size=samples)
        total += counts @ (theirs[:, 0] - ours[:, 0]) / (counts @ ours[:, 1])
    ends = (1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2
    low, high = np.quantile(total / len(parts), ends)
    return float(low), float(high)
