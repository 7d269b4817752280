"""Members that are trained as one run, kept in one file, and resumed."""

import csv
import shutil

import pytest
import torch
from omegaconf import OmegaConf
from runs import SMALL, compose_config

from gia.tasks.report import costs
from gia.training import ensemble, load_trained, trained_data
from gia.training.checkpoint import read_checkpoint
from gia.training.ensemble import EnsembleRun
from gia.training.joined import join

MODEL = ["model=graph_transformer", "trainer.max_epochs=2", "data.rwse=4", "data.split=random"]


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    pytest.importorskip("rdkit")
    path = tmp_path_factory.mktemp("table") / "chains.csv"
    rows = [f"{'C' * (i % 12 + 1)}{'ON'[i % 2]},{i % 12},{-i % 7}" for i in range(60)]
    path.write_text("\n".join(["smiles,y,z", *rows]))
    return path


def run_of(folder, table, *overrides):
    data = ["data=molecules", f"data.path={table}", "data.smiles_column=smiles"]
    settings = [*data, "data.target_column=y", f"run_dir={folder}"]
    return EnsembleRun.from_config(
        compose_config(*SMALL, *settings, *MODEL, "ensemble=2", *overrides)
    )


@pytest.fixture(scope="module")
def trained(table, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "whole"
    run = run_of(folder, table)
    return run, run.fit()


def weights(path):
    return read_checkpoint(path)["state_dict"]


def test_one_file_says_the_mean_of_its_members(trained):
    run, metrics = trained
    both = run.folder / "checkpoints" / "best.ckpt"
    task, cfg = load_trained(both)
    data = trained_data(cfg)
    found = task.predictions(data.loader("test"))
    alone = [
        load_trained(run.folder / "members" / str(k) / "checkpoints" / "best.ckpt")[0]
        .predictions(data.loader("test"))
        .output
        for k in range(2)
    ]
    assert not torch.equal(*alone)
    torch.testing.assert_close(found.output, torch.stack(alone).mean(0))
    torch.testing.assert_close(found.std, torch.stack(alone).std(0, correction=0))
    rmse = (found.output - found.target).square().mean().sqrt()
    assert metrics["test/rmse"] == pytest.approx(float(rmse), rel=1e-4)
    assert len(run.members) == 2
    assert costs(run)["epochs"] == 4
    assert costs(run)["tokens_per_second"] > 0
    for k in range(2):
        member = weights(run.folder / "members" / str(k) / "checkpoints" / "best.ckpt")
        for key, value in member.items():
            key = key.replace("model.", f"model.members.{k}.", 1)
            assert torch.equal(weights(both)[key], value)


def test_what_is_finished_is_not_trained_again(trained, table, tmp_path):
    run, metrics = trained
    killed = tmp_path / "killed"
    shutil.copytree(run.folder, killed)
    shutil.rmtree(killed / "checkpoints")
    shutil.rmtree(killed / "members" / "1")
    resumed = run_of(tmp_path / "resumed", table, f"ckpt_path={killed}")
    assert resumed.notes[0] == "ensemble of 2 by seeds: 1 to train"
    assert resumed.fit() == metrics
    ours, theirs = (weights(one.folder / "checkpoints" / "best.ckpt") for one in (run, resumed))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)


def test_models_that_disagree_are_no_members(trained, table, tmp_path):
    run, _ = trained
    mine = run.folder / "members" / "0" / "checkpoints" / "best.ckpt"
    for override, what in (
        ("data.target_column=z", r"target_names.*\['z'\] and \['y'\]"),
        ("model.depth=1", "its model is another one"),
    ):
        folder = tmp_path / what[:6]
        other = run_of(folder, table, override, "trainer.max_epochs=1")
        other._fit_member(0)
        with pytest.raises(ValueError, match=what):
            join(
                [mine, folder / "members" / "0" / "checkpoints" / "best.ckpt"], tmp_path / "x.ckpt"
            )
    assert not (tmp_path / "x.ckpt").exists()
    with pytest.raises(ValueError, match="at least one checkpoint"):
        join([], tmp_path / "x.ckpt")


def parts(file):
    with open(file, newline="") as lines:
        return {row["row"]: row["split"] for row in csv.DictReader(lines)}


def test_by_folds_each_member_validates_on_rows_of_its_own(table, tmp_path):
    run = run_of(tmp_path / "folds", table, "ensemble_by=folds", "ensemble=3")
    metrics = run.fit()
    whole = parts(run.folder / "splits.csv")
    members = [parts(run.folder / "members" / str(k) / "splits.csv") for k in range(3)]
    for part, seen in (("test", "test"), ("val", "none")):
        rows = {row for row, own in whole.items() if own == part}
        assert rows
        for member in members:
            assert {row for row, own in member.items() if own == seen} == rows
    validated = [row for member in members for row, own in member.items() if own == "val"]
    train = sorted(row for row, own in whole.items() if own == "train")
    assert sorted(validated) == train
    for member in members:
        learned = {row for row, own in member.items() if own == "train"}
        assert learned == {row for row in train if member[row] != "val"}
    first = run.folder / "members" / "0" / "checkpoints" / "best.ckpt"
    _, cfg = load_trained(first)
    assert len(trained_data(cfg, whole=True).part("test")) == len(whole)
    split = {"split_file": str(run.folder / "splits.csv")}
    again = trained_data(cfg, OmegaConf.create(split))
    assert len(again.part("train")) == len(train)  # and is dealt out to nobody
    with pytest.raises(ValueError, match="is a member by folds"):
        join([first], tmp_path / "x.ckpt")
    # The file speaks of the whole split, and the validation part calibrates.
    task, cfg = load_trained(run.folder / "checkpoints" / "best.ckpt")
    data = trained_data(cfg)
    assert "inner_fold" not in cfg.data
    assert len(data.part("train")) == len(train)
    assert task.calibration is not None
    found = task.predictions(data.loader("test"))
    rmse = (found.output - found.target).square().mean().sqrt()
    assert metrics["test/rmse"] == pytest.approx(float(rmse), rel=1e-4)


def test_folds_are_resumed_as_folds(table, tmp_path):
    run = run_of(tmp_path / "whole", table, "ensemble_by=folds")
    metrics = run.fit()
    shutil.copytree(run.folder, tmp_path / "killed")
    shutil.rmtree(tmp_path / "killed" / "members" / "1")
    again = ["ensemble_by=folds", f"ckpt_path={tmp_path / 'killed'}"]
    for number, change, message in (
        (0, "ensemble_by=seeds", "is an ensemble with ensemble_by=folds, whose members"),
        (1, "ensemble=3", "is an ensemble with ensemble=2, whose members"),
        (2, "data.split_seed=1", "was trained on another split of the data"),
    ):
        with pytest.raises(ValueError, match=message):
            run_of(tmp_path / str(number), table, *again, change)
    resumed = run_of(tmp_path / "resumed", table, *again)
    assert resumed.notes[0] == "ensemble of 2 by folds: 1 to train"
    assert resumed.fit() == metrics


def test_folds_are_of_an_ensemble(table, tmp_path):
    for settings, message in (
        (["ensemble_by=fold", "ensemble=null"], "must be one of seeds, folds, got 'fold'"),
        (["ensemble_by=folds", "ensemble=null"], "needs the number of members"),
    ):
        with pytest.raises(ValueError, match=message):
            ensemble.run_of(compose_config(f"run_dir={tmp_path / 'run'}", *settings))


def test_more_folds_than_rows_to_train_on(table, tmp_path):
    with pytest.raises(ValueError, match=r"has \d+ groups .* too few for 59 folds"):
        run_of(tmp_path / "run", table, "ensemble_by=folds", "ensemble=59")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("ensemble=1", "ensemble must be 2 or more members, or null, got 1"),
        ("ensemble_by=days", "ensemble_by must be one of seeds, folds, got 'days'"),
        ("trainer.enable_checkpointing=false", "keeps its members in checkpoints"),
        ("trainer.fast_dev_run=true", "keeps its members in checkpoints"),
    ],
)
def test_bad_settings_are_named(table, tmp_path, override, message):
    with pytest.raises(ValueError, match=message):
        run_of(tmp_path / "run", table, override)
    with pytest.raises(FileNotFoundError, match="is no folder of an ensemble"):
        run_of(tmp_path / "run", table, f"ckpt_path={tmp_path}")
