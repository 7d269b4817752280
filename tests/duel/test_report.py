"""The report says what the evidence says, losses and gaps included."""

import dataclasses
import re

import numpy as np
import pytest
from comparisons import NoRunner, make_evidence, make_plan, make_result

from gia_duel import Results, Trial, markdown, write_report
from gia_duel.against import intervals
from gia_duel.curves import mean_curve, validation_curves
from gia_duel.text import number

VALUES = {
    ("a", "gin"): [1.0, 1.2, 1.1],
    ("a", "pna"): [1.5, 1.5, 1.5],
    ("a", "gps"): [1.2, 1.3, 1.4],
    ("a", "gine"): [2.0, 2.0, 2.0],
    ("a", "forest"): [1.4, 1.5, 1.6],
    ("b", "gin"): [0.7, 0.9],
    ("b", "pna"): [0.9, 0.9],
    ("b", "gps"): [0.5, 0.5],
    ("b", "gine"): [0.95, 0.93],
}


@pytest.fixture
def evidence(tmp_path):
    return make_evidence(tmp_path / "evidence", VALUES)


def lines(text, start):
    """The cells of table rows that begin with a name."""
    rows = [line for line in text.splitlines() if line.startswith(f"| {start} ")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def test_the_report_by_its_numbers(evidence):
    text = markdown(Results.of(evidence), "images/results.png")
    summary = lines(text, "a")[0]
    assert summary == [
        "a", "rmse (lower is better)", "gin 1.100 ± 0.058", "gps 1.300 ± 0.058",
        "+0.200 ± 0.058", "-0.048 to +0.448", "win",
    ]  # fmt: skip
    assert lines(text, "b")[0][-1] == "loss"
    assert "**1 win, 0 ties, 1 loss** on 2 data sets" in text
    row = lines(text, "gin")[0]
    assert row == [
        "gin", "ours", "1.100 ± 0.058", "**1.100 ± 0.058**", "0.100 (1.000 to 1.200)", "3 of 3",
        "1,000", "0.2 s (1.0x)", "`gia duel plan=made_up dataset=a variant=gin`",
    ]  # fmt: skip
    forest = lines(text, "forest")[0]
    assert forest[6:8] == ["-", "-"]
    assert "Chosen on validation: gin of ours, gps of baseline." in text
    assert lines(text, "gps (picked)")[0][-1] == "win"
    assert lines(text, "forest")[1][-1] == "win"
    assert "The folds overlap: the intervals are too narrow." in text.partition("## b")[2]
    assert "The folds overlap" not in text.partition("## b")[0]
    assert "![Validation metric against optimiser steps, a panel for each data set]" in text
    assert "missing" not in text.replace("which runs what is missing", "")


def test_what_models_say_of_their_errors(evidence):
    assert "Errors as the models say them" not in markdown(Results.of(evidence), "x.png")
    for replicate, coverage in enumerate([0.88, 0.92, 0.93]):
        said = {"after": {"coverage": coverage, "ece": 0.02}}
        if replicate:  # one model says nothing of itself before
            said["before"] = {"coverage": 0.5, "ece": 0.3 + replicate / 10}
        for trial in range(2):
            result = make_result(1.0, 1.0, split=str(replicate), reliability=said)
            evidence.write(Trial("a", "gin", replicate, trial), result)
    text = markdown(Results.of(evidence), "x.png")
    table = text.partition("Errors as the models say them, and as they are, on test:")[2]
    assert lines(table, "gin")[0] == ["gin", "0.9100", "0.4500", "0.0200", "3"]
    assert len(lines(table.partition("## b")[0], "gps")) == 0


def test_bold_is_who_is_ahead_of_everyone(evidence):
    text = markdown(Results.of(evidence), "x.png")
    bold = re.findall(r"\| (\w+) \|[^*\n]*\| \*\*[\d.]+ ± [\d.]+\*\* \|", text)
    assert bold == ["gin", "gine"]
    make_evidence(evidence.folder, {**VALUES, ("a", "forest"): [1.0, 1.3, 1.0]})
    text = markdown(Results.of(evidence), "x.png")
    assert re.findall(r"\| (\w+) \|[^*\n]*\| \*\*", text) == ["gine"]


def test_gaps_are_marked(evidence):
    evidence.path(Trial("a", "pna", 2, 1)).unlink()
    evidence.path(Trial("b", "gps", 0, 0)).write_text("{")
    for replicate in range(3):
        for trial in range(2):
            evidence.path(Trial("a", "gine", replicate, trial)).unlink()
    text = markdown(Results.of(evidence), "x.png")
    assert "**Not complete**: 8 of 46 runs are missing" in text
    assert "- a: gine 6, pna 1\n- b: gps 1\n" in text
    assert re.search(r"- b/gps/replicate_0_trial_0: .* cannot be read", text)
    assert lines(text, "a")[0][2:] == ["missing", "missing", "missing", "", "incomplete"]
    assert "**0 wins, 0 ties, 0 losses, 2 incomplete**" in text
    assert lines(text, "pna")[0][3:6] == ["1.500 ± 0.0", "0.0 (1.500 to 1.500)", "2 of 3"]
    assert lines(text, "gine")[0][2:8] == ["missing", "missing", "-", "0 of 3", "-", "-"]
    assert "No pick of ours yet: a run of that family is missing." in text


def test_a_report_of_nothing_is_all_gaps(tmp_path):
    text = markdown(Results.of(make_evidence(tmp_path, {})), "x.png")
    assert "46 of 46 runs are missing" in text
    assert "- b: gin 4, pna 4, gps 4, gine 4\n" in text
    assert "**" not in text.partition("## a")[2]


def test_one_replicate_gives_no_verdict(tmp_path):
    one = {"overrides": ["data=x"], "metric": "rmse", "better": "lower", "steps": 100, "seeds": 1}
    plan = make_plan(datasets={"a": one})
    values = {key: numbers[:1] for key, numbers in VALUES.items() if key[0] == "a"}
    text = markdown(Results.of(make_evidence(tmp_path, values, plan)), "x.png")
    assert lines(text, "a")[0][4:] == ["+0.2000", "", "undecided"]
    assert "nan" not in text


def test_runs_of_before_a_change_are_counted_and_told(tmp_path):
    evidence = make_evidence(tmp_path, VALUES)
    whole = markdown(Results.of(evidence), "x.png")
    assert "configuration files were last changed" not in whole
    edited = dataclasses.replace(evidence, runner=NoRunner(config="edited"), keep_changed=True)
    number = len(list(tmp_path.rglob("*.json")))
    text = markdown(Results.of(edited), "x.png")
    told = f" {number} of them were made before the configuration files were last changed"
    assert told in text
    differing = [
        new for old, new in zip(whole.split("\n"), text.split("\n"), strict=True) if old != new
    ]
    assert len(differing) == 1
    repeated = dataclasses.replace(edited, keep_changed=False)
    assert f"{number} of {number} runs are missing" in markdown(Results.of(repeated), "x.png")


def test_files_are_written_where_they_are_asked_for(evidence, tmp_path):
    path, images = tmp_path / "docs" / "results.md", tmp_path / "docs" / "images" / "results"
    text = write_report(Results.of(evidence), path, images)
    assert path.read_text() == text
    assert "](images/results.png)" in text
    assert {file.name for file in images.parent.iterdir()} == {"results.png", "results.svg"}
    assert str(tmp_path) not in text + images.with_suffix(".svg").read_text()
    # From the same evidence, the same report.
    assert write_report(Results.of(evidence), path, images) == text


def test_curves_of_replicates_meet_at_common_steps(evidence):
    """Lines stay lines, whatever steps they were measured at."""
    for replicate, steps in enumerate([range(0, 101, 10), range(5, 101, 19), [0, 100]]):
        curve = [(step, 3 - step / 50 + replicate) for step in steps]
        for k in range(2):
            result = make_result(1.0, 1.0, split=str(replicate), curve=curve)
            evidence.write(Trial("a", "gin", replicate, k), result)
    results = Results.of(evidence)
    steps, mean, spread = mean_curve(results.tables["a"].rows["gin"])
    assert (steps[0], steps[-1]) == (5, 100)
    np.testing.assert_allclose(mean, 4 - steps / 50)
    np.testing.assert_allclose(spread, 1)
    assert not len(mean_curve(results.tables["a"].rows["forest"])[0])  # a point is no curve
    figure = validation_curves(results)
    assert [axes.get_title() for axes in figure.axes] == ["a", "b"]
    assert [len(axes.lines) for axes in figure.axes] == [4, 4]


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (41.234, 1.26, "41.2"),
        (0.61237, 0.0123, "0.612"),
        (0.61237, 0.00051, "0.61237"),
        (12345.6, 150.0, "12,346"),
        (0.8, float("nan"), "0.8000"),
        (1.0, 0.0, "1.000"),
        (0.0, 0.0, "0.0"),
    ],
)
def test_digits_follow_the_error(value, error, text):
    assert number(value, error) == text


def test_every_variant_is_compared_with_those_that_the_plan_names(tmp_path):
    plan = make_plan(against=["gps", "pna"])
    evidence = make_evidence(tmp_path / "evidence", VALUES, plan)
    for k in range(2):
        evidence.path(Trial("a", "gine", 0, k)).unlink()
    results = Results.of(evidence)
    path, images = tmp_path / "r.md", tmp_path / "images" / "r"
    text = write_report(results, path, images)
    means, *_ = lines(text, "a (rmse)")
    assert means[1:] == [
        "1.100 ± 0.058", "1.500 ± 0.0", "1.300 ± 0.058", "2.000 ± 0.0 (n=2)", "1.500 ± 0.058",
    ]  # fmt: skip
    section = text.partition("### Better than gps by")[2].partition("###")[0]
    # gin: the interval has 0 in it, though the difference is larger than its standard error.
    assert lines(section, "a (rmse)")[0] == [
        "a (rmse)", "+0.200 (-0.048 to +0.448)", "-0.200 (-0.448 to +0.048)",
        "**-0.650** (-1.285 to -0.015) (n=2)", "**-0.2000** (-0.2000 to -0.2000)",
    ]  # fmt: skip
    assert lines(section, "b (accuracy)")[0][4] == ""  # the forest is not for it
    assert lines(section, "wins-ties-losses")[0] == [
        "wins-ties-losses", "0-2-0", "1-1-0", "1-0-1", "0-0-1",
    ]  # fmt: skip
    assert "](images/r_gps.png)" in section
    assert sorted(file.name for file in images.parent.glob("*.png")) == [
        "r.png", "r_gps.png", "r_pna.png",
    ]  # fmt: skip


def test_nothing_is_compared_with_what_is_not_there(tmp_path):
    plan = make_plan(against=["gps"])
    values = {("a", "gin"): [1.0, 1.2, 1.1]}
    text = markdown(Results.of(make_evidence(tmp_path, values, plan)), "x.png")
    assert "Better than" not in text
    plan = make_plan(against=["gin"])
    text = markdown(Results.of(make_evidence(tmp_path, values, plan)), "x.png")
    section = text.partition("### Better than gin by")[2]
    assert lines(section, "a (rmse)")[0][1:] == ["missing"] * 4
    assert "b (accuracy)" not in text  # of which there is nothing
    assert lines(section, "wins-ties-losses")[0][1:] == ["0-0-0"] * 4


def test_differences_are_drawn_with_their_intervals(tmp_path):
    results = Results.of(make_evidence(tmp_path, VALUES, make_plan(against=["gps"])))
    figure = intervals(results, "gps")
    assert [axes.get_title() for axes in figure.axes] == ["a (rmse)", "b (accuracy)"]
    assert [len(axes.containers) for axes in figure.axes] == [4, 3]
    (point, _, (bar,)) = figure.axes[0].containers[0]  # gin
    assert point.get_xdata()[0] == pytest.approx(100 * 0.2 / 1.3)
    ends = [end[0] for end in bar.get_segments()[0]]
    assert ends == pytest.approx([100 * end / 1.3 for end in (-0.0484, 0.4484)], abs=0.01)
