"""Law 10: saved, loaded and resumed equals never interrupted."""

import pytest
import torch
from runs import EVERY_CHECKPOINT, peptides_fasta, small_run

from gia.training import Run

EPOCHS, ACCUMULATE = 3, 3
TRAINING = [
    f"trainer.max_epochs={EPOCHS}",
    f"trainer.accumulate_grad_batches={ACCUMULATE}",
    "model.dropout=0.2",
    "scheduler.warmup_steps=5",
    *EVERY_CHECKPOINT,
]


def weights(run):
    return {key: value.clone() for key, value in run.task.state_dict().items()}


@pytest.fixture(
    scope="module",
    params=[0, pytest.param(2, marks=pytest.mark.slow)],
    ids=["no workers", "2 workers"],
)
def uninterrupted(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    fasta = peptides_fasta(folder)
    settings = [*TRAINING, f"data.num_workers={request.param}"]
    run = Run.from_config(small_run(folder / "whole", fasta, *settings))
    run.trainer.fit(run.task, run.datamodule)  # not run.fit(), which ends with the best weights
    run.trainer.save_checkpoint(folder / "end.ckpt")
    return folder, fasta, settings, run


def checkpoints(folder):
    return sorted((folder / "whole" / "checkpoints").glob("[es]*.ckpt"))


def test_checkpoints_lie_at_and_between_the_ends_of_epochs(uninterrupted):
    folder, _, _, run = uninterrupted
    batches = len(run.datamodule.train_dataloader())
    steps_per_epoch = -(-batches // ACCUMULATE)
    assert batches % ACCUMULATE  # the last step of an epoch has fewer batches
    names = {path.stem for path in checkpoints(folder)}
    assert names == {f"epoch{epoch}" for epoch in range(EPOCHS)} | {
        # An epoch's last step is left to the checkpoint that follows its validation.
        f"step{step}"
        for step in range(1, EPOCHS * steps_per_epoch)
        if step % steps_per_epoch
    }


def test_resumed_equals_uninterrupted(uninterrupted, tmp_path):
    folder, fasta, settings, whole = uninterrupted
    steps = sorted(
        (path for path in checkpoints(folder) if path.stem.startswith("step")),
        key=lambda path: int(path.stem.removeprefix("step")),
    )
    epochs = [path for path in checkpoints(folder) if path.stem.startswith("epoch")]
    per_epoch = len(steps) // EPOCHS
    # In the first epoch, in the middle of a later one, before its last step, after its validation.
    chosen = [steps[1], steps[per_epoch + 1], steps[2 * per_epoch - 1], *epochs[:2]]
    end = torch.load(folder / "end.ckpt", weights_only=True)
    for checkpoint in chosen:
        torch.manual_seed(123)  # the state of this process must not matter
        run = Run.from_config(
            small_run(tmp_path / checkpoint.stem, fasta, *settings, f"ckpt_path={checkpoint}")
        )
        run.trainer.fit(run.task, run.datamodule, ckpt_path=run.ckpt_path, weights_only=True)
        assert run.trainer.global_step == whole.trainer.global_step, checkpoint.stem
        for key, value in run.task.state_dict().items():
            assert torch.equal(value, end["state_dict"][key]), f"{checkpoint.stem}: {key}"
        ours = [(row["epoch"], row["val/loss"]) for row in run.history.epochs]
        theirs = [(row["epoch"], row["val/loss"]) for row in whole.history.epochs]
        assert ours == theirs, checkpoint.stem


def test_the_law_can_fail(uninterrupted, tmp_path):
    """Without the random states a resumed run goes another way."""
    folder, fasta, settings, _ = uninterrupted
    checkpoint = folder / "whole" / "checkpoints" / "step2.ckpt"
    end = torch.load(folder / "end.ckpt", weights_only=True)["state_dict"]
    cfg = small_run(
        tmp_path / "r", fasta, *settings, f"ckpt_path={checkpoint}", "callbacks.random_state=null"
    )
    run = Run.from_config(cfg)
    run.trainer.fit(run.task, run.datamodule, ckpt_path=run.ckpt_path, weights_only=True)
    key = "model.encoder.token.weight"
    assert not torch.equal(run.task.state_dict()[key], end[key])


def test_checkpoints_hold_tensors_and_plain_values_only(uninterrupted):
    folder, *_ = uninterrupted
    for path in checkpoints(folder):
        assert "state_dict" in torch.load(path, weights_only=True)


def test_numbers_of_double_precision_are_read_as_they_are(tmp_path):
    fasta, settings = peptides_fasta(tmp_path), ["trainer.precision=64-true", "scheduler=constant"]

    def trained(name, *more):
        config = small_run(tmp_path / name, fasta, *settings, *more)
        run = Run.from_config(config)
        run.trainer.fit(run.task, run.datamodule, ckpt_path=run.ckpt_path, weights_only=True)
        return run

    whole = trained("whole", "trainer.max_epochs=2")
    half = trained("half", "trainer.max_epochs=1")
    last = half.folder / "checkpoints" / "last.ckpt"
    again = trained("again", "trainer.max_epochs=2", f"ckpt_path={last}")
    assert all(torch.equal(weights(whole)[key], value) for key, value in weights(again).items())
