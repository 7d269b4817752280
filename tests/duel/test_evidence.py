"""What is kept of a run, and when it counts."""

import dataclasses
import json

import pytest
from comparisons import NoRunner, make_evidence, make_plan, make_result

from gia_duel import Evidence, Trial
from gia_duel.evidence import thinned

TRIAL = Trial("a", "gin", 1, 0)


def test_a_written_run_is_found_again_and_is_small(tmp_path):
    evidence = Evidence(tmp_path, make_plan(), NoRunner())
    assert evidence.find(TRIAL).state == "missing"
    curve = [(step, 1 / (step + 3)) for step in range(0, 20_000, 20)]
    metrics = {f"metric_{i}": i / 7 for i in range(8)} | {"rmse": 1 / 3, "odd": float("nan")}
    result = make_result(1.0, 1.0, curve=curve)
    evidence.write(TRIAL, dataclasses.replace(result, val=metrics, test=metrics))
    path = tmp_path / "a" / "gin" / "replicate_1_trial_0.json"
    assert path.stat().st_size < 3000
    assert [file for file in path.parent.iterdir() if file != path] == []
    found = evidence.find(TRIAL)
    assert found.state == "done"
    assert found.record["val"]["rmse"] == 0.333333
    assert found.record["val"]["odd"] is None
    assert found.record["overrides"] == ["data=x", "attention=gin", "lr=1", "steps=100", "seed=1"]
    assert len(found.record["curve"]) == 30
    assert found.record["curve"][0][0] == 0
    assert found.record["curve"][-1][0] == 19_980
    assert "NaN" not in path.read_text()


def test_no_place_is_written_down(tmp_path):
    plan = make_plan(overrides=["data.path=/home/me/data/x.csv", "data.name=a/b"])
    evidence = Evidence(tmp_path, plan, NoRunner())
    evidence.write(TRIAL, make_result(1.0, 1.0))
    overrides = evidence.find(TRIAL).record["overrides"]
    assert overrides[1:3] == ["data.path=x.csv", "data.name=a/b"]


def test_a_change_of_the_plan_or_of_the_configuration_files_is_seen(tmp_path):
    plan = make_plan()
    Evidence(tmp_path, plan, NoRunner()).write(TRIAL, make_result(1.0, 1.0))
    found = Evidence(tmp_path, plan, NoRunner(config="edited")).find(TRIAL)
    assert found.state == "changed"
    assert found.reason.startswith("the configuration files have changed since 20")
    edited = make_plan(trials=[["lr=3"], ["lr=2"]])
    found = Evidence(tmp_path, edited, NoRunner()).find(TRIAL)
    assert found.state == "changed"
    assert found.reason.startswith("its settings have changed")


def test_changed_files_can_be_let_pass_but_not_other_settings(tmp_path):
    plan = make_plan()
    Evidence(tmp_path, plan, NoRunner()).write(TRIAL, make_result(1.0, 1.0))
    edited = NoRunner(config="edited")
    kept = Evidence(tmp_path, plan, edited, keep_changed=True).find(TRIAL)
    assert (kept.state, kept.before) == ("done", True)
    assert not Evidence(tmp_path, plan, NoRunner(), keep_changed=True).find(TRIAL).before
    other = make_plan(trials=[["lr=3"], ["lr=2"]])
    assert Evidence(tmp_path, other, edited, keep_changed=True).find(TRIAL).state == "changed"


def test_replicates_and_trials_have_digests_of_their_own(tmp_path):
    evidence = Evidence(tmp_path, make_plan(), NoRunner())
    trials = [trial for cell in evidence.plan.cells() for trial in cell]
    assert len({evidence.digest(trial) for trial in trials}) == len(trials)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: text[: len(text) // 2], "cannot be read"),
        (lambda text: "", "cannot be read"),
        (lambda text: "[]", "it lacks everything"),
        (lambda text: json.dumps({**json.loads(text), "test": {}}), "it lacks test.rmse"),
        (lambda text: json.dumps({**json.loads(text), "test": {"rmse": None}}), "test.rmse"),
        (lambda text: text.replace("digest", "digits"), "it lacks digest"),
    ],
)
def test_a_broken_file_is_told_from_a_missing_one(tmp_path, damage, message):
    evidence = make_evidence(tmp_path, {("a", "gin"): [1.0, 1.0, 1.0]})
    path = evidence.path(TRIAL)
    path.write_text(damage(path.read_text()))
    found = evidence.find(TRIAL)
    assert found.state == "broken"
    assert message in found.reason


def test_thinning_keeps_both_ends():
    assert thinned(range(5), 30) == [0, 1, 2, 3, 4]
    kept = thinned(range(1000), 30)
    assert len(kept) == 30
    assert (kept[0], kept[-1]) == (0, 999)
    assert kept == sorted(set(kept))
