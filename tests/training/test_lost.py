"""Runs whose loss becomes NaN."""

import math

import pytest
import torch
from pytorch_lightning import Callback
from runs import peptides_fasta, small_run

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
