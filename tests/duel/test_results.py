"""Choices are made on validation, and only by what is whole."""

import dataclasses

import pytest
from comparisons import make_evidence, make_plan, make_result

from gia_duel import Results, Trial
from gia_duel.results import choose

ALL = {
    ("a", "gin"): [1.0, 1.2, 1.1],
    ("a", "pna"): [1.5, 1.5, 1.5],
    ("a", "gps"): [1.2, 1.3, 1.4],
    ("a", "gine"): [2.0, 2.0, 2.0],
    ("a", "forest"): [1.0, 1.3, 1.0],
    ("b", "gin"): [0.7, 0.9],
    ("b", "pna"): [0.9, 0.9],
    ("b", "gps"): [0.5, 0.5],
    ("b", "gine"): [0.95, 0.93],
}


def test_the_trial_is_chosen_on_validation_in_each_replicate(tmp_path):
    evidence = make_evidence(tmp_path, ALL)
    # The second trial is better on validation of replicate 1 and much worse on test.
    evidence.write(Trial("a", "gin", 1, 1), make_result(0.5, 9.0, split="1"))
    row = Results.of(evidence).tables["a"].rows["gin"]
    assert [row.chosen[r][0].number for r in range(3)] == [0, 1, 0]
    assert row.values("test") == {0: 1.0, 1: 9.0, 2: 1.1}
    assert row.values("val")[1] == 0.5


def test_higher_is_chosen_where_higher_is_better_and_the_first_of_equals():
    plan = make_plan()
    records = {Trial("b", "gin", 0, k): {"val": {"accuracy": v}} for k, v in enumerate([0.5, 0.5])}
    assert choose(records, plan.datasets["b"]).number == 0
    records[Trial("b", "gin", 0, 1)]["val"]["accuracy"] = 0.6
    assert choose(records, plan.datasets["b"]).number == 1
    by_loss = dataclasses.replace(plan.datasets["b"], monitor="loss lower")
    for number, loss in enumerate([0.1, 0.2]):
        records[Trial("b", "gin", 0, number)]["val"]["loss"] = loss
    assert choose(records, by_loss).number == 0


def test_a_family_is_picked_on_validation_and_not_on_test(tmp_path):
    evidence = make_evidence(tmp_path, ALL)
    assert Results.of(evidence).tables["a"].pick("ours").variant == "gin"
    assert Results.of(evidence).tables["b"].pick("ours").variant == "pna"
    for replicate in range(3):  # pna: best on validation, worst on test
        for number in range(2):
            trial = Trial("a", "pna", replicate, number)
            evidence.write(trial, make_result(0.1, 99.0, split=str(replicate)))
    table = Results.of(evidence).tables["a"]
    assert table.pick("ours").variant == "pna"
    assert table.outcome.verdict == "loss"


def test_a_pick_compares_on_the_replicates_that_all_variants_have(tmp_path):
    plan = make_plan()
    variants = dict(plan.variants)
    variants["pna"] = dataclasses.replace(variants["pna"], replicates=2)
    plan = dataclasses.replace(plan, variants=variants)
    # The third replicate is hard: gin is better on each of the others.
    values = {
        ("a", "gin"): [1.0, 1.0, 2.0],
        ("a", "pna"): [1.2, 1.2],
        ("a", "gps"): [1.3, 1.3, 2.1],
    }
    table = Results.of(make_evidence(tmp_path, values, plan)).tables["a"]
    assert table.pick("ours").variant == "gin"
    assert table.difference(table.rows["pna"], table.rows["gps"]).number == 2


def test_what_is_missing_is_not_guessed(tmp_path):
    evidence = make_evidence(tmp_path, ALL)
    evidence.path(Trial("a", "pna", 2, 1)).unlink()  # one of two trials
    results = Results.of(evidence)
    table = results.tables["a"]
    assert table.rows["pna"].missing == [2]
    assert table.pick("ours") is None  # pna might have been the better one
    assert table.outcome is None
    assert table.ahead is None
    assert table.difference(table.rows["pna"], table.rows["gps"]) is None
    assert results.found[Trial("a", "pna", 2, 1)].state == "missing"


def test_differences_are_paired_and_positive_where_ours_is_better(tmp_path):
    tables = Results.of(make_evidence(tmp_path, ALL)).tables
    difference = tables["a"].outcome  # gin against gps, lower is better
    assert difference.mean == pytest.approx((0.2 + 0.1 + 0.3) / 3)
    assert difference.verdict == "win"
    difference = tables["b"].outcome  # pna against gine, higher is better
    assert difference.mean == pytest.approx(-(0.05 + 0.03) / 2)
    assert difference.verdict == "loss"


def test_only_who_is_ahead_of_everyone_is(tmp_path):
    tables = Results.of(make_evidence(tmp_path, ALL)).tables
    assert tables["b"].ahead == "gine"
    assert tables["a"].ahead is None  # the forest is within a standard error of gin
    far = {**ALL, ("a", "forest"): [1.4, 1.5, 1.6]}
    assert Results.of(make_evidence(tmp_path, far)).tables["a"].ahead == "gin"


def test_the_time_is_the_median(tmp_path):
    evidence = make_evidence(tmp_path, ALL)
    for number in range(2):
        slow = dataclasses.replace(make_result(1.0, 1.0, split="0"), seconds_per_epoch=50.0)
        evidence.write(Trial("a", "gin", 0, number), slow)
    rows = Results.of(evidence).tables["a"].rows
    assert rows["gin"].seconds_per_epoch == 0.2
    assert rows["forest"].seconds_per_epoch is None


def test_what_both_have_is_compared_also_where_something_is_missing(tmp_path):
    evidence = make_evidence(tmp_path, ALL)
    evidence.path(Trial("a", "pna", 2, 1)).unlink()
    table = Results.of(evidence).tables["a"]
    shared = table.shared(table.rows["pna"], table.rows["gps"])
    assert shared.number == 2
    assert shared.mean == pytest.approx((1.2 + 1.3) / 2 - 1.5)
    for replicate in range(2):
        evidence.path(Trial("a", "pna", replicate, 0)).unlink()
    table = Results.of(evidence).tables["a"]
    assert table.shared(table.rows["pna"], table.rows["gps"]) is None
    assert table.shared(None, table.rows["gps"]) is None
