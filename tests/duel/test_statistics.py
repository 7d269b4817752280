"""Means and intervals by hand and by scipy, and who is ahead."""

import math

import numpy as np
import pytest
from scipy import stats

from gia_duel import Difference, Sample, paired


def test_a_sample_by_hand():
    sample = Sample.of([1.0, 2.0, 6.0])
    assert sample.mean == 3
    assert sample.spread == pytest.approx(math.sqrt((4 + 1 + 9) / 2))
    assert sample.error == pytest.approx(math.sqrt(7 / 3))
    assert (sample.number, sample.lowest, sample.highest) == (3, 1, 6)


def test_one_replicate_has_no_error():
    sample = Sample.of([2.0])
    assert sample.mean == 2
    assert math.isnan(sample.spread)
    assert math.isnan(sample.error)
    with pytest.raises(ValueError, match="at least one number"):
        Sample.of([])


@pytest.mark.parametrize(("better", "sign"), [("lower", -1), ("higher", 1)])
def test_paired_differences_are_scipys(better, sign):
    rng = np.random.default_rng(0)
    ours, theirs = rng.normal(size=10), rng.normal(size=10) + 0.3
    difference = paired(dict(enumerate(ours)), dict(enumerate(theirs)), better)
    test = stats.ttest_rel(ours, theirs)
    interval = test.confidence_interval(0.95)
    ends = sorted([sign * interval.low, sign * interval.high])
    assert [difference.low, difference.high] == pytest.approx(ends)
    assert difference.mean / difference.error == pytest.approx(sign * test.statistic)


def test_only_common_replicates_are_paired():
    difference = paired({0: 1.0, 1: 2.0, 5: 9.0}, {1: 3.0, 0: 1.0, 2: 7.0}, "lower")
    assert difference.number == 2
    assert difference.mean == pytest.approx(0.5)  # 0 and 1
    with pytest.raises(ValueError, match="at least one number"):
        paired({0: 1.0}, {1: 1.0}, "lower")


@pytest.mark.parametrize("value", [0.1, 0.3, 1 / 3, 0.7, 0.0212765957])
def test_exactly_one_standard_error_is_a_tie_whatever_the_rounding(value):
    for better in ("lower", "higher"):
        difference = paired({0: 0.1, 1: 0.1}, {0: 0.1, 1: 0.1 + value}, better)
        assert difference.verdict == "tie"


@pytest.mark.parametrize(
    ("mean", "error", "verdict"),
    [
        (0.3, 0.2, "win"),
        (-0.3, 0.2, "loss"),
        (0.2, 0.2, "tie"),  # within one standard error, its end included
        (-0.2, 0.2, "tie"),
        (0.0, 0.0, "tie"),
        (0.1, 0.0, "win"),
        (5.0, math.nan, "undecided"),
    ],
)
def test_the_rule(mean, error, verdict):
    assert Difference(3, mean, error, 0, 0).verdict == verdict


@pytest.mark.parametrize(
    ("values", "clear"),
    [
        ([0.2, 0.3, 0.4], "win"),  # +0.3 (0.05 to 0.55)
        ([-0.2, -0.3, -0.4], "loss"),
        ([0.1, 0.3, 0.5], "tie"),  # +0.3 (-0.2 to 0.8), more than a standard error
        ([0.0, 0.0], "tie"),
        ([5.0], "undecided"),
    ],
)
def test_a_clear_win_leaves_0_out_of_its_interval(values, clear):
    difference = paired(dict(enumerate(values)), dict.fromkeys(range(len(values)), 0.0), "higher")
    assert difference.clear == clear
    if clear != "undecided":
        p = stats.ttest_1samp(values, 0).pvalue if any(values) else 1.0
        assert (p < 0.05) == (clear != "tie")
