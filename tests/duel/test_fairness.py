"""A comparison that is not fair is refused."""

import dataclasses

import pytest
from comparisons import NoRunner, make_evidence, make_plan, make_result
from hydra.errors import InstantiationException

from gia_duel import Checked, Evidence, Trial, UnfairError, check_models, check_records, check_size
from gia_duel.fairness import check_start


def trials(plan):
    return [trial for cell in plan.cells() for trial in cell]


def test_sizes_within_one_percent_pass(tmp_path):
    plan, runner = make_plan(), NoRunner({"gin": 1010, "gps": 990, "forest": 0})
    sizes, absent = check_models(Evidence(tmp_path, plan, runner), trials(plan))
    assert sizes["a"] == {"gin": 1010, "pna": 1000, "gps": 990, "gine": 1000}
    assert not absent
    # One replicate of each trial; the forest, which has nothing to match, is built as well.
    assert len(runner.asked) == 2 * 4 * 2 + 2


def test_other_sizes_are_refused_all_at_once(tmp_path):
    plan, runner = make_plan(), NoRunner({"gin": 1011, "gps": 989})
    with pytest.raises(UnfairError) as refused:
        check_models(Evidence(tmp_path, plan, runner), trials(plan))
    message = str(refused.value)
    assert (
        "gin has 1,011 parameters on a, which is not within 1% of num_parameters=1,000" in message
    )
    assert "gps has 989 parameters on b" in message
    check_size(plan, Trial("a", "forest", 0, 0), 0)  # declared as not matched


def test_a_model_that_cannot_be_built_is_named(tmp_path):
    class Broken(NoRunner):
        def check(self, overrides):
            raise ValueError("3 heads, 16 wide")

    plan = make_plan()
    with pytest.raises(UnfairError, match="gin on a: 3 heads, 16 wide"):
        check_models(Evidence(tmp_path, plan, Broken()), trials(plan))


def test_another_split_is_refused_before_training(tmp_path):
    class Odd(NoRunner):
        def check(self, overrides):
            split = "odd" if "model=gps" in overrides else "one"
            return dataclasses.replace(super().check(overrides), split=split)

    plan = make_plan()
    with pytest.raises(
        UnfairError, match=r"gps splits replicate 0 of a otherwise \(odd\) than gin"
    ):
        check_models(Evidence(tmp_path, plan, Odd()), trials(plan))
    evidence = make_evidence(tmp_path, {("a", "gin"): [1.0, 1.0, 1.0]})
    with pytest.raises(UnfairError, match="if the data has changed, delete"):
        check_start(evidence, Trial("a", "gps", 1, 0), Checked(1000, "odd"))
    check_start(evidence, Trial("a", "gps", 1, 0), Checked(1000, "1"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"split": "odd"}, "another split, odd, than a/gin/replicate_1_trial_0, 1"),
        ({"epochs": 11.0}, "another number of epochs, 11.0"),
        ({"steps": 99}, "took 99 steps in 10.0 epochs instead of 100 steps"),
        ({"parameters": 900}, "gps has 900 parameters"),
    ],
)
def test_finished_runs_that_differ_are_refused(tmp_path, change, message):
    evidence = make_evidence(tmp_path, {("a", "gin"): [1.0, 1.0], ("a", "gps"): [1.0, 1.0]})
    result = make_result(1.0, 1.0, **{"split": "1", **change})
    evidence.write(Trial("a", "gps", 1, 1), result)
    found = {trial: evidence.find(trial) for trial in trials(evidence.plan)}
    records = {trial: item.record for trial, item in found.items() if item.record}
    with pytest.raises(UnfairError, match=message):
        check_records(evidence.plan, records)


@pytest.mark.parametrize("wrapped", [False, True])
def test_what_is_not_installed_is_no_fault_of_the_plan(tmp_path, wrapped):
    class Without(NoRunner):
        def check(self, overrides):
            if "model=gps" not in overrides:
                return super().check(overrides)
            missing = ImportError("chemprop is not installed")
            if wrapped:
                raise InstantiationException("Error in call") from missing
            raise missing

    plan = make_plan()
    built = check_models(Evidence(tmp_path, plan, Without()), trials(plan))
    assert built.absent == {(name, "gps"): "chemprop is not installed" for name in "ab"}
    assert "gps" not in built.sizes["a"]


def test_with_budgets_of_their_own_only_splits_must_agree(tmp_path):
    datasets = {"a": {"overrides": [], "metric": "rmse", "better": "lower", "seeds": 2}}
    variants = {name: {"family": name, "overrides": []} for name in ("gin", "gps")}
    plan = make_plan(datasets=datasets, variants=variants, num_parameters=None, duel=["gin", "gps"])
    records = {
        Trial("a", "gin", 0, 0): {"split": "x", "parameters": 7, "steps": 3, "epochs": 1.0},
        Trial("a", "gps", 0, 0): {"split": "x", "parameters": 9, "steps": 5, "epochs": None},
    }
    check_records(plan, records)
    check_size(plan, Trial("a", "gin", 0, 0), 123)
    records[Trial("a", "gps", 0, 0)]["split"] = "y"
    with pytest.raises(UnfairError, match="another split, y"):
        check_records(plan, records)
