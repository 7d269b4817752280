"""What may befall a trial: a test part that is not to be opened, and trials that end badly."""

import os
import signal

import pytorch_lightning as pl

from gia.data import DataModule


class Sealed(DataModule):
    """Data whose test part breaks whoever opens it, by whichever door."""

    def part(self, name):
        if name == "test":
            raise AssertionError("the test part was opened")
        return super().part(name)


class ByWidth(pl.Callback):
    """Models of some widths run out of memory, in Python or by the system, or lose their loss."""

    def on_train_epoch_start(self, trainer, pl_module):
        width = pl_module.hparams.settings["model"]["width"]
        if width == 24:
            os.kill(os.getpid(), signal.SIGKILL)
        if width == 32:
            raise MemoryError("cannot hold it")

    def on_validation_start(self, trainer, pl_module):
        if pl_module.hparams.settings["model"]["width"] == 40:
            for parameter in pl_module.parameters():
                parameter.data.fill_(float("nan"))
