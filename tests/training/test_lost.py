"""Runs whose loss becomes NaN."""

import math

import pytest
import torch
from pytorch_lightning import Callback
from runs import compose_config, peptides_fasta, small_run, write_table

from gia.data import Compounds
from gia.training import Run


class Spoil(Callback):
    """Makes the model's numbers NaN from an epoch on."""

    def __init__(self, epoch: int):
        self.epoch = epoch

    def on_train_epoch_start(self, trainer, pl_module):
        if trainer.current_epoch == self.epoch:
            with torch.no_grad():
                next(pl_module.model.blocks.parameters()).fill_(math.nan)


def spoiled(folder, epoch: int) -> Run:
    run = Run.from_config(small_run(folder, peptides_fasta(folder), "trainer.max_epochs=3"))
    run.trainer.callbacks.append(Spoil(epoch))
    return run


def test_a_run_that_was_never_finite_says_so(tmp_path):
    with pytest.raises(ValueError, match=r"val/loss is nan in epoch 0: give a lower optimizer.lr"):
        spoiled(tmp_path, 0).fit()


def test_the_best_model_of_before_is_tested(tmp_path):
    run = spoiled(tmp_path, 1)
    with pytest.warns(UserWarning, match=r"val/loss is nan in epoch 1.*best model of before"):
        metrics = run.fit()
    assert math.isfinite(metrics["test/loss"])


class SpoilGradients(Callback):
    """Makes a gradient infinite in some steps."""

    def __init__(self, *steps: int):
        self.steps = steps

    def on_train_start(self, trainer, pl_module):
        parameter = next(pl_module.model.blocks.parameters())
        parameter.register_hook(
            lambda grad: grad * math.inf if trainer.global_step in self.steps else grad
        )


def finite(checkpoint):
    state = torch.load(checkpoint, weights_only=True)["state_dict"].values()
    return all(value.isfinite().all() for value in state if value.is_floating_point())


def test_a_step_without_finite_gradients_ends_the_training(tmp_path):
    settings = ["trainer.max_epochs=3", "data.tokens_per_batch=1024"]
    run = Run.from_config(small_run(tmp_path, peptides_fasta(tmp_path), *settings))
    run.trainer.callbacks.append(SpoilGradients(9))
    told = r"gradients of step 10 are not finite.*: training ends here; its batch is in .*"
    with pytest.warns(UserWarning, match=f"{told}lost_batch.pt: .* and .* more; give a lower"):
        metrics = run.fit()
    assert math.isfinite(metrics["test/loss"])
    assert run.trainer.global_step == 10
    assert finite(run.folder / "checkpoints" / "last.ckpt")
    batch = torch.load(run.folder / "lost_batch.pt", weights_only=True)
    assert len(batch["name"]) == len(batch["row"]) == int(batch["batch"].max()) + 1
    assert [path.name for path in run.folder.glob("*.pt")] == ["lost_batch.pt"]


def test_some_steps_may_be_left_out(tmp_path):
    settings = ["trainer.max_epochs=3", "callbacks.finite.skip=2", "data.tokens_per_batch=1024"]
    run = Run.from_config(small_run(tmp_path, peptides_fasta(tmp_path), *settings))
    run.trainer.callbacks.append(SpoilGradients(2, 5))
    with pytest.warns(UserWarning, match="step 3 are not finite, its loss is: it is left out"):
        run.fit()
    assert run.trainer.current_epoch == 3
    assert finite(run.folder / "checkpoints" / "last.ckpt")
    file = torch.load(run.folder / "checkpoints" / "last.ckpt", weights_only=True)
    assert file["callbacks"]["FiniteSteps"] == {"skipped": 2}


def test_what_is_left_out_cannot_be_less_than_nothing(tmp_path):
    config = small_run(tmp_path, peptides_fasta(tmp_path), "callbacks.finite.skip=-1")
    with pytest.raises(Exception, match=r"callbacks.finite.skip must be at least 0, got -1"):
        Run.from_config(config)


def test_what_batch_norm_has_seen_of_a_lost_step_is_forgotten(tmp_path):
    _, rows = Compounds("melting_point").table()
    write_table(tmp_path / "m.csv", ["cas", "SMILES", "a"], [row.values() for row in rows[::150]])
    config = compose_config(
        *("data=molecules", f"data.path={tmp_path / 'm.csv'}", "data.smiles_column=SMILES"),
        *("data.target_column=a", "data.features=null", "data.batch_size=16"),
        *("model.width=16", "model.heads=2", "model.depth=1", "trainer.max_epochs=2"),
        *("callbacks.progress_bar=null", "logger.tensorboard=null", "callbacks.finite.skip=5"),
    )
    config.run_dir, config.name = str(tmp_path / "run"), "run"
    run = Run.from_config(config)

    class Infinite(Callback):
        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            self.handle = pl_module.model.encoder.register_forward_hook(
                lambda module, given, made: made * (math.inf if trainer.global_step == 1 else 1)
            )

        def on_train_batch_end(self, *args):
            self.handle.remove()

    run.trainer.callbacks.append(Infinite())
    with pytest.warns(UserWarning, match="step 2 are not finite, its loss is not, either"):
        metrics = run.fit()
    assert math.isfinite(metrics["test/loss"])
    names = [name for name, _ in run.task.model.named_buffers() if "running" in name]
    assert names
    assert finite(run.folder / "checkpoints" / "last.ckpt")
