"""A run folder can be moved or copied: a resumed run still ends with the best model of all."""

import shutil

import pytest
import torch
from runs import peptides_fasta, small_run

from gia.tasks.report import best_epoch
from gia.training import BestCheckpoint, Run

# A learning rate that grows too high: the first epochs are the best ones.
GROWS_WORSE = ["optimizer.lr=2", "scheduler=constant", "scheduler.warmup_steps=32"]
TRAINING = [*GROWS_WORSE, "callbacks.early_stopping=null", "data.tokens_per_batch=1024"]


def best(run):
    (callback,) = (made for made in run.trainer.callbacks if isinstance(made, BestCheckpoint))
    return callback


def train(folder, fasta, epochs, *arguments):
    arguments = [*TRAINING, "callbacks.average=null", f"trainer.max_epochs={epochs}", *arguments]
    return Run.from_config(small_run(folder, fasta, *arguments))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An uninterrupted run of four epochs."""
    folder = tmp_path_factory.mktemp("moved")
    fasta = peptides_fasta(folder)
    run = train(folder / "whole", fasta, 4)
    metrics = run.fit()
    losses = [row["val/loss"] for row in run.history.epochs]
    assert losses.index(min(losses)) < 2  # else nothing is tested here
    return fasta, run, metrics


@pytest.fixture
def stopped(whole, tmp_path):
    """The folder of the same run, stopped after three epochs."""
    fasta, *_ = whole
    train(tmp_path / "old", fasta, 3).fit()
    return tmp_path / "old"


def make_better(state):
    """The state of a checkpoint, as of a later epoch."""
    for member in state["callbacks"].values():
        if member.get("monitor") and member.get("best_model_score") is not None:
            member["best_model_score"] = member["best_model_score"] - 1


def goes_on(tmp_path, fasta, checkpoint):
    return train(tmp_path / "resumed", fasta, 4, f"ckpt_path={checkpoint}")


@pytest.mark.parametrize("way", ["moved", pytest.param("copied", marks=pytest.mark.slow)])
def test_the_best_model_is_found_beside_the_checkpoint(whole, stopped, way, tmp_path):
    fasta, run, metrics = whole
    if way == "moved":
        shutil.move(stopped, tmp_path / "new")
    else:  # and the old run was trained on
        shutil.copytree(stopped, tmp_path / "new")
        (stopped / "checkpoints" / "best.ckpt").write_bytes(b"another model")
    again = goes_on(tmp_path, fasta, tmp_path / "new" / "checkpoints" / "last.ckpt")
    assert again.fit() == pytest.approx(metrics, rel=1e-6)
    assert best(again).best_model_score == best(run).best_model_score
    assert best_epoch(again) == pytest.approx(best_epoch(run))


def test_a_best_model_that_is_not_there_is_told(whole, stopped, tmp_path):
    """It is taken from beside the checkpoint, and not from wherever the file says."""
    fasta, run, _ = whole
    shutil.copy(stopped / "checkpoints" / "last.ckpt", tmp_path / "last.ckpt")
    again = goes_on(tmp_path, fasta, tmp_path / "last.ckpt")
    with pytest.warns(UserWarning, match="the best model so far") as caught:
        again.fit()
    (said,) = (str(w.message) for w in caught if "the best model so far" in str(w.message))
    own = tmp_path / "resumed" / "checkpoints" / "best.ckpt"
    assert f"is not in {tmp_path / 'best.ckpt'} or {own}: from here on" in said
    # The report is of the model that was tested, and not of the one that is gone.
    last = again.history.epochs[-1]["val/loss"]
    assert best_epoch(again)["loss"] == last > best_epoch(run)["loss"]


@pytest.mark.slow
def test_a_later_model_in_its_place_is_not_taken_for_it(whole, stopped, tmp_path):
    """The old run may have gone on, and have overwritten the best of that time."""
    fasta, *_ = whole
    shutil.copytree(stopped / "checkpoints", tmp_path / "copy")
    other = tmp_path / "copy" / "best.ckpt"
    state = torch.load(other, weights_only=True)
    make_better(state)
    torch.save(state | {"global_step": 10_000}, other)
    with pytest.warns(UserWarning, match="the best model so far"):
        goes_on(tmp_path, fasta, tmp_path / "copy" / "last.ckpt").fit()
    kept = torch.load(tmp_path / "resumed" / "checkpoints" / "best.ckpt", weights_only=True)
    assert kept["global_step"] != 10_000


@pytest.mark.slow
def test_a_later_model_alone_is_told(whole, stopped, tmp_path):
    """As after a kill between a validation and the checkpoint that follows it."""
    fasta, *_ = whole
    path = stopped / "checkpoints" / "best.ckpt"
    state = torch.load(path, weights_only=True)
    make_better(state)
    torch.save(state, path)
    again = goes_on(tmp_path, fasta, stopped / "checkpoints" / "last.ckpt")
    with pytest.warns(UserWarning, match="a later one is, which this run meets"):
        again.trainer.fit(
            again.task, again.datamodule, ckpt_path=again.ckpt_path, weights_only=True
        )
    assert best(again).best_model_score == again.history.epochs[-1]["val/loss"]
