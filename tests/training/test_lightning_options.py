"""Lightning's own options, each as a user gives it."""

import json
import time
from types import SimpleNamespace

import pytest
import torch
from runs import EVERY_CHECKPOINT, SMALL, in_fresh_process, peptides_fasta, small_run

from gia.tasks.report import costs
from gia.training import BestCheckpoint, Run, load_trained

FAST = ["data.tokens_per_batch=1024", "trainer.max_epochs=2"]
SWA = "pytorch_lightning.callbacks.StochasticWeightAveraging"
PLUGIN = "pytorch_lightning.plugins.MixedPrecision"


@pytest.fixture(scope="module")
def fasta(tmp_path_factory):
    return peptides_fasta(tmp_path_factory.mktemp("options"))


def run_of(folder, fasta, *arguments):
    return Run.from_config(small_run(folder, fasta, *FAST, *arguments))


def epochs(run):
    return [(row["epoch"], row["step"], row["val/loss"]) for row in run.history.epochs]


# The last column: the checkpoints that are resumed from. Every other one was tried as well.
INTERVALS = {
    "twice an epoch": (["trainer.val_check_interval=0.5"], ["step3", "step5"]),
    "every three batches": (["trainer.val_check_interval=3"], ["step7", "epoch0"]),
    "every other epoch": (["trainer.check_val_every_n_epoch=2"], ["step9", "epoch0"]),
    "every five batches of all": (
        ["trainer.check_val_every_n_epoch=null", "trainer.val_check_interval=5"],
        ["step3", "step11"],
    ),
    "in the middle of steps": (
        ["trainer.val_check_interval=0.5", "trainer.accumulate_grad_batches=3"],
        ["step1", "epoch0"],
    ),
    "of a part of the batches": (["trainer.limit_train_batches=5"], ["step7"]),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", INTERVALS)
def test_resumed_equals_uninterrupted_however_it_is_validated(case, fasta, tmp_path):
    options, checkpoints = INTERVALS[case]
    options = [*options, *EVERY_CHECKPOINT, "model.dropout=0.2"]
    whole = run_of(tmp_path / "whole", fasta, *options)
    whole.trainer.fit(whole.task, whole.datamodule)
    for name in checkpoints:
        path = tmp_path / "whole" / "checkpoints" / f"{name}.ckpt"
        run = run_of(tmp_path / name, fasta, *options, f"ckpt_path={path}")
        run.trainer.fit(run.task, run.datamodule, ckpt_path=run.ckpt_path, weights_only=True)
        assert epochs(run) == epochs(whole), name
        for key, value in run.task.state_dict().items():
            assert torch.equal(value, whole.task.state_dict()[key]), f"{name}: {key}"


def test_no_step_checkpoint_before_a_validation(fasta, tmp_path):
    """A run resumed from there would skip it."""
    run = run_of(tmp_path / "run", fasta, *EVERY_CHECKPOINT, "trainer.val_check_interval=0.5")
    run.fit()
    half = len(run.datamodule.train_dataloader()) // 2
    steps = {row["step"] for row in run.history.epochs}
    assert steps == {half, 2 * half, 3 * half, 4 * half}
    saved = {int(p.stem[4:]) for p in (tmp_path / "run" / "checkpoints").glob("step*")}
    assert saved == set(range(1, 4 * half)) - steps
    assert costs(run)["epochs"] == 2


def test_an_epoch_without_validation_leaves_a_checkpoint(fasta, tmp_path):
    options = ["trainer.check_val_every_n_epoch=2", "trainer.max_epochs=1"]
    run = run_of(tmp_path / "run", fasta, *options)
    run.fit()
    state = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    assert state["epoch"] == 0


def test_time_that_is_over_ends_a_run_which_can_go_on(fasta, tmp_path):
    long = ["trainer.max_epochs=5000", "callbacks.early_stopping=null"]
    start = time.monotonic()
    run = run_of(tmp_path / "run", fasta, *long, "trainer.max_time=00:00:00:02")
    run.fit()
    assert time.monotonic() - start < 60
    last = tmp_path / "run" / "checkpoints" / "last.ckpt"
    done = torch.load(last, weights_only=True)["global_step"]
    assert 0 < done <= run.trainer.global_step
    more = ["trainer.max_time=00:00:00:04", f"ckpt_path={last}"]
    again = run_of(tmp_path / "again", fasta, *long, *more)
    again.fit()
    assert again.trainer.global_step > done


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("trainer.limit_val_batches=0", "trainer.limit_val_batches=0: the last model is tested"),
        ("trainer.enable_checkpointing=false", "trainer.enable_checkpointing=false: the last"),
    ],
)
def test_without_a_best_model_the_last_is_tested_and_said_to_be(option, said, fasta, tmp_path):
    run = run_of(tmp_path / "run", fasta, option)
    assert any(note.startswith(said) for note in run.notes)
    before = {key: value.clone() for key, value in run.task.state_dict().items()}
    assert run.fit()["test/loss"] > 0
    assert run.trainer.current_epoch == costs(run)["epochs"] == 2
    assert any(not torch.equal(before[key], value) for key, value in run.task.state_dict().items())


def test_a_development_run_is_one_batch_of_everything(fasta, tmp_path):
    run = run_of(tmp_path / "run", fasta, "trainer.fast_dev_run=true")
    assert run.fit()["test/loss"] > 0
    assert run.trainer.global_step == 1
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_the_progress_bar_has_a_switch(fasta, tmp_path):
    bar = "callbacks.progress_bar={_target_:gia.training.ProgressBar}"
    run = run_of(tmp_path / "run", fasta, bar, "trainer.enable_progress_bar=false")
    assert run.trainer.progress_bar_callback is None


def test_lightning_does_not_share_the_batches_out_again(fasta, tmp_path):
    several = ["trainer.devices=2", "trainer.accelerator=cpu", "+trainer.strategy=ddp"]
    with pytest.raises(ValueError, match="use_distributed_sampler=true: batches are shared out"):
        run_of(tmp_path / "a", fasta, *several, "trainer.use_distributed_sampler=true")
    assert not (tmp_path / "a").exists()
    assert run_of(tmp_path / "b", fasta, "trainer.use_distributed_sampler=true").fit()


def test_averaged_weights_are_tested_where_they_are_better(fasta, tmp_path):
    callback = [f"+callbacks.swa._target_={SWA}", "+callbacks.swa.swa_lrs=0.02"]
    with pytest.raises(ValueError, match="both average the weights"):
        run_of(tmp_path / "two", fasta, *callback)
    callback.append("callbacks.average=null")
    options = [*callback, "trainer.max_epochs=5", "optimizer.lr=0.02", "scheduler.warmup_steps=1"]
    run = run_of(tmp_path / "run", fasta, *options)
    run.trainer.fit(run.task, run.datamodule)
    averaged = {key: value.clone() for key, value in run.task.state_dict().items()}
    last = run.history.epochs[-1]["val/loss"]
    (keeper,) = (made for made in run.trainer.callbacks if isinstance(made, BestCheckpoint))
    found = float(keeper.best_model_score)
    run._offer_average(keeper)
    score = run.history.epochs[-1]["val/loss"]
    assert score != last  # of other weights
    kept, _ = load_trained(tmp_path / "run" / "checkpoints" / "best.ckpt")
    same = all(torch.equal(value, averaged[key]) for key, value in kept.state_dict().items())
    assert same == (score < found)
    assert float(keeper.best_model_score) == pytest.approx(min(score, found))


@pytest.mark.parametrize(("mode", "kept"), [("min", 0.4), ("max", 0.6)])
@pytest.mark.parametrize("score", [0.4, 0.6])
def test_averaged_weights_are_better_as_the_metric_says(tmp_path, mode, kept, score):
    keeper = BestCheckpoint(dirpath=tmp_path, monitor="val/r2", mode=mode)
    keeper.best_model_path, keeper.best_model_score = "best.ckpt", torch.tensor(0.5)
    saved = []
    trainer = SimpleNamespace(
        enable_validation=True,
        validate=lambda *args, **kwargs: None,
        callback_metrics={"val/r2": torch.tensor(score)},
        save_checkpoint=saved.append,
    )
    run = SimpleNamespace(trainer=trainer, task=None, datamodule=None)
    Run._offer_average(run, keeper)
    assert bool(saved) == (score == kept)


def test_lightning_finds_a_learning_rate(fasta, tmp_path):
    finder = "pytorch_lightning.callbacks.LearningRateFinder"
    options = [f"+callbacks.lr._target_={finder}", "+callbacks.lr.num_training_steps=20"]
    run = run_of(tmp_path / "run", fasta, *options)
    run.trainer.fit(run.task, run.datamodule)
    assert run.task.lr is not None
    groups = run.trainer.optimizers[0].param_groups
    assert all(group["initial_lr"] == pytest.approx(run.task.lr) for group in groups)
    assert run.trainer.global_step == 2 * len(run.datamodule.train_dataloader())


def test_a_working_folder_of_hydras_own(fasta, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "p.fasta").write_bytes(fasta.read_bytes())
    small = [*SMALL, "data=fasta", "data.path=data/p.fasta", "debug=fast"]
    arguments = [*small, "run_dir=runs/one", "hydra.job.chdir=true"]
    done = in_fresh_process("train", *arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    run = tmp_path / "runs" / "one"
    assert (run / "checkpoints" / "last.ckpt").is_file()
    assert str(run) in done.stdout
    # The settings of a checkpoint are right from anywhere.
    done = in_fresh_process("evaluate", f"ckpt_path={run}/checkpoints/best.ckpt", cwd=run)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_configuration_of_the_users_own_is_not_needed_afterwards(fasta, tmp_path):
    group = tmp_path / "mine" / "data"
    group.mkdir(parents=True)
    (group / "ours.yaml").write_text(f"defaults:\n  - fasta\npath: {fasta}\nmax_length: 30\n")
    arguments = ["--config-dir=mine", "data=ours", *SMALL, "debug=fast"]
    done = in_fresh_process("train", *arguments, "run_dir=run", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    (group / "ours.yaml").unlink()
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["data"]["cut"] > 0
    arguments = ["evaluate", "ckpt_path=run/checkpoints/best.ckpt"]
    done = in_fresh_process(*arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "loss" in done.stdout


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "16-mixed"])
def test_gradients_of_a_fused_optimiser_are_clipped_in_every_precision(precision, fasta, tmp_path):
    options = ["trainer.max_steps=4", "trainer.gradient_clip_val=0.01"]
    if precision != "32-true":  # Lightning makes no 16-mixed plugin for a CPU by itself
        plugin = f"{{_target_: {PLUGIN}, precision: {precision}, device: cpu}}"
        options += ["trainer.precision=null", f"+trainer.plugins=[{plugin}]"]
    trained = []
    for fused in ("true", "null"):
        run = run_of(tmp_path / fused, fasta, *options, f"optimizer.fused={fused}")
        run.trainer.fit(run.task, run.datamodule)
        norm = sum(p.grad.square().sum() for p in run.task.parameters()).sqrt()
        assert norm == pytest.approx(0.01, rel=1e-3)
        (optimizer,) = run.trainer.optimizers
        assert optimizer.param_groups[0]["fused"] is (True if fused == "true" else None)
        trained.append(torch.cat([p.detach().flatten() for p in run.task.parameters()]))
    torch.testing.assert_close(*trained, rtol=1e-3, atol=1e-5)
