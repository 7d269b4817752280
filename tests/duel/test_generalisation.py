"""What is said of gaps between training and validation, by numbers that can be worked out."""

import dataclasses
import math

import numpy as np
import pytest
from comparisons import make_evidence, make_plan, make_result

from gia_duel import Results, Trial, markdown, write_report
from gia_duel.generalisation import Details, trajectories
from gia_duel.statistics import bootstrap

# Nats per symbol after 10, 20, ... steps: gin learns slower, and stays nearer to its training.
TRAIN = {"gps": [3.0, 2.0, 1.0], "gin": [3.0, 2.5, 2.0]}
VAL = {"gps": [3.2, 2.6, 2.4], "gin": [3.1, 2.7, 2.3]}


def result(variant, replicate, metric="perplexity", split=None):
    known = math.exp if metric == "perplexity" else float
    # A symbol costs 0.1 more or less than in validation, in one of two sequences.
    nats = VAL[variant][-1] + replicate / 100
    items = [(10 * (nats + 0.1), 10), (30 * (nats - 0.1), 30)]
    steps = (10, 20, 30)
    details = {
        "best": (30, VAL[variant][-1]),
        "losses": list(zip(steps, TRAIN[variant], VAL[variant], strict=True)),
        "layers": {"eps": [-1.0, None, 0.5 + replicate]} if variant == "gin" else {},
        "test_items": items,
    }
    val = known(VAL[variant][-1])
    made = make_result(val, val, metric=metric, split=split or str(replicate))
    return dataclasses.replace(made, steps=30, epochs=6.0, details=details)


@pytest.fixture(params=["perplexity", "loss"])
def evidence(request, tmp_path):
    data = {
        "overrides": [], "metric": request.param, "better": "lower", "steps": 30, "seeds": 2,
    }  # fmt: skip
    variants = {
        name: {"family": family, "overrides": [f"model={name}"]}
        for name, family in (("gps", "baseline"), ("gin", "ours"), ("pna", "ours"))
    }
    plan = make_plan(datasets={"a": data}, variants=variants, trials=[[]], against=["gps"])
    evidence = make_evidence(tmp_path / "evidence", {}, plan)
    for variant in TRAIN:
        for replicate in range(2):
            made = result(variant, replicate, request.param)
            evidence.write(Trial("a", variant, replicate, 0), made)
    return evidence


def test_the_table_by_its_numbers(evidence):
    text = markdown(Results.of(evidence), "images/report.png")
    section = text.partition("## Beyond the training")[2].partition("## How it was")[0]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line[:3] == "| g"]
    perplexity = f"{math.exp(2.4):.2f} ± 0.0"
    assert rows[0] == ["gps", "2", perplexity, "6.000 ± 0.0", "1.400 ± 0.0", *["-"] * 4]
    # Both reach 2.0 in training: there gin has a gap of 0.3, gps one of 0.6.
    name, number, lowest, epoch, gap, equal, ratio, better, sequences = rows[1]
    assert (name, number) == ("gin", "2")
    assert (lowest, epoch) == (f"{math.exp(2.3):.3f} ± 0.0", "6.000 ± 0.0")
    assert gap.startswith("0.300")
    assert equal.startswith("-0.300")
    assert ratio.startswith("0.9583")
    assert better.startswith(("+0.100", "**+0.100"))
    assert sequences.startswith("+0.1")
    assert rows[2] == ["gin", "eps", "-1.000 ± 0.0", "-", "1.00 ± 0.50"]
    assert "pna" not in section  # of which there is nothing yet
    assert "](images/report_beyond_training.png)" in section


def test_the_report_has_its_picture(evidence, tmp_path):
    write_report(Results.of(evidence), tmp_path / "report.md", tmp_path / "images" / "report")
    assert (tmp_path / "images" / "report_beyond_training.png").stat().st_size > 10_000
    (axes,) = trajectories(Results.of(evidence)).axes
    drawn = axes.get_lines()[0]
    np.testing.assert_allclose(drawn.get_xdata(), TRAIN["gps"], rtol=1e-5)
    np.testing.assert_allclose(drawn.get_ydata(), VAL["gps"], rtol=1e-5)


def test_without_details_nothing_is_said(tmp_path):
    plan = make_plan(against=["gps"])
    evidence = make_evidence(tmp_path, {("a", "gps"): [1.0, 1.0, 1.0]}, plan)
    results = Results.of(evidence)
    assert trajectories(results) is None
    assert "Beyond the training" not in markdown(results, "x.png")


@pytest.mark.parametrize(
    ("loss", "gap"), [(3.5, None), (3.0, 0.2), (2.5, 0.4), (1.5, 1.0), (1.0, 1.4), (0.9, None)]
)
def test_the_gap_where_training_has_come_to(loss, gap):
    train, val = (np.array(curve["gps"]) for curve in (TRAIN, VAL))
    details = Details(2.4, 6.0, train, val, np.ones((1, 2)), {}, "one")
    found = details.gap_at(loss)
    assert math.isnan(found) if gap is None else found == pytest.approx(gap)


def test_the_bootstrap_of_sequences():
    rng = np.random.default_rng(3)
    symbols = rng.integers(5, 50, 400)
    theirs = np.stack([2.0 * symbols, symbols], 1)
    better = rng.normal(0.1, 0.2, 400)
    ours = np.stack([(2.0 - better) * symbols, symbols], 1)
    low, high = bootstrap([(ours, theirs)], 4000)
    mean = (better * symbols).sum() / symbols.sum()
    assert low < mean < high
    # The error of a ratio of sums, by the delta method.
    error = np.sqrt(((better - mean) ** 2 * symbols**2).sum()) / symbols.sum()
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.1)
    assert bootstrap([(ours, ours)], 100) == (0, 0)
    assert bootstrap([(ours, theirs)], 4000) == (low, high)
    two = bootstrap([(ours, theirs)] * 2, 4000)
    assert two[1] - two[0] < 0.8 * (high - low)  # each replicate has draws of its own


def test_replicates_of_one_test_part_are_no_new_sequences(evidence):
    def interval():
        text = markdown(Results.of(evidence), "x.png").partition("## Beyond the training")[2]
        row = next(line for line in text.splitlines() if line.startswith("| gin | 2"))
        low, high = row.strip("| ").split(" | ")[-1].split(" to ")
        return float(high) - float(low)

    apart = interval()
    for variant in TRAIN:
        made = result(variant, 1, evidence.plan.datasets["a"].metric, split="0")
        (first, n), (second, m) = made.details["test_items"]
        items = [(first + 0.15, n), (second - 0.15, m)]
        details = {**made.details, "test_items": items}
        evidence.write(Trial("a", variant, 1, 0), dataclasses.replace(made, details=details))
    assert interval() >= apart


def test_other_sequences_are_refused():
    ours = [(1.0, 3), (2.0, 4)]
    for theirs in ([(1.0, 3)], [(1.0, 3), (2.0, 5)]):
        with pytest.raises(ValueError, match="were tested on other sequences"):
            bootstrap([(ours, theirs)], 10)
