"""How a cell becomes a training run, and what every plan of the package needs for it."""

import math

import pytest
from comparisons import CONF
from conftest import ROOT
from hydra import compose, initialize_config_dir, initialize_config_module

from gia_duel import Training, Trial
from gia_duel.command import workshop_of
from gia_duel.plan import Dataset
from gia_duel.training import best_row

PLANS = sorted(path.stem for path in (ROOT / "conf" / "plan").glob("*.yaml"))


def read(name):
    with initialize_config_module("gia.conf", version_base="1.3"):
        cfg = compose("duel", overrides=[f"plan={name}"])
    return workshop_of(cfg, name).evidence


@pytest.mark.parametrize("name", PLANS)
def test_every_plan_composes(name):
    """Each data set and each variant, with the budget, in one trial at least."""
    evidence = read(name)
    plan = evidence.plan
    variants, datasets = list(plan.variants), list(plan.datasets)
    pairs = {(datasets[i % len(datasets)], variant) for i, variant in enumerate(variants)}
    pairs |= {(dataset, variants[i % len(variants)]) for i, dataset in enumerate(datasets)}
    for dataset, variant in sorted(pairs):
        if not plan.has(dataset, variant, 0):
            continue
        run = evidence.runner.compose(evidence.overrides(Trial(dataset, variant, 0, 0)))
        assert run.steps == plan.datasets[dataset].steps
        assert run.callbacks.best.monitor.startswith("val/")
        assert (run.callbacks.early_stopping is None) == plan.equal
        if plan.equal and plan.variants[variant].matched and evidence.runner.sized:
            assert run.model.num_parameters == plan.num_parameters


def test_seeds_have_splits_of_their_own_and_folds_one_partition():
    plan = read("graphs").plan
    seeds = Training().replicate(plan.datasets["esol"], 2)
    assert seeds == ["seed=2", "data.split_seed=2"]
    fold = Training().replicate(plan.datasets["tu_proteins"], 3)
    assert fold == ["seed=3", "data.split=kfold", "data.folds=5", "data.fold=3"]
    given = Training().replicate(read("fields").plan.datasets["expt_gap"], 3)
    assert given == ["seed=3", "data.fold=3"]  # Matbench's own


@pytest.fixture
def settings():
    with initialize_config_dir(str(CONF), version_base="1.3"):
        overrides = list(compose("plan/tiny").plan.overrides)
    training = Training()
    return lambda *more: training.settings(["data=fasta", "data.path=x.fa", *overrides, *more])


def test_what_decides_the_outcome_is_in_the_settings_and_nothing_else(settings):
    same = settings()
    idle = ["data.path=/elsewhere/y.fa", "run_dir=away", "name=other", "logger.csv=null"]
    idle += ["callbacks.progress_bar=null", "callbacks.last_steps.every_n_train_steps=7"]
    assert settings(*idle) == same
    for change in ("seed=1", "model.dropout=0", "optimizer.lr=1", "attention=pna", "steps=7"):
        assert settings(change) != same, change


def test_the_best_row_is_the_first_of_the_best():
    rows = [{"step": i, "val/x": value} for i, value in enumerate([3, math.nan, 1, 2, 1])]
    assert best_row(rows, "x", "lower")["step"] == 2
    assert best_row(rows, "x", "higher")["step"] == 0
    with pytest.raises(ValueError, match=r"no validation gave a finite val/y; there were val/x"):
        best_row(rows, "y", "lower")


def test_details_are_of_language_models(tmp_path):
    dataset = Dataset("bags", (), "accuracy", "higher", steps=5, seeds=1)
    overrides = ["data=counting", "data.dataset.number=40", "model.width=16", "steps=5"]
    with pytest.raises(ValueError, match=r"details: true is for language models, and .*bags is"):
        Training(details=True).run(overrides, dataset, tmp_path, lambda checked: None)


def test_details_are_part_of_what_is_run(settings):
    same = ["data=fasta", "data.path=x.fa"]
    assert Training(details=True).settings(same) != Training().settings(same)
