"""One trial: a training without a test, in a process of its own that tells each validation."""

import math
import os
import signal
import threading
import warnings
from collections.abc import Callable
from multiprocessing import parent_process
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from hydra.errors import InstantiationException
from omegaconf import DictConfig, OmegaConf, open_dict

from gia.nn import count_parameters
from gia.search.study import Stored
from gia.training import run_of
from gia.training.quiet import quiet


class Pruned(Exception):
    """The trial ends early, since others were better by then."""


class NotComparable(ValueError):
    """What no other trial of this search can mend: there is nothing to compare it by."""


class Report(pl.Callback):
    """Tell each validation, and end the training where it is not worth going on.

    Args:
        monitor (str): The metric.
        go_on (callable): Given its value, says whether to go on.
    """

    def __init__(self, monitor: str, go_on: Callable[[float], bool]):
        self.monitor, self.go_on, self.told = monitor, go_on, 0

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.sanity_checking:
            return
        metrics = trainer.callback_metrics
        if self.monitor not in metrics:
            known = ", ".join(sorted(name for name in metrics if name.startswith("val/")))
            raise NotComparable(
                f"callbacks.best.monitor={self.monitor}: validation gives no such metric; "
                f"it gives {known}"
            )
        value = float(metrics[self.monitor])
        if not math.isfinite(value):
            raise ValueError(f"{self.monitor} is {value} in epoch {trainer.current_epoch}")
        self.told += 1
        if not self.go_on(value):
            raise Pruned


def as_trial(cfg: DictConfig, number: int, folder: Path) -> dict[str, Any]:
    """The configuration of a training as that of a trial.

    It leaves no checkpoint and no curves, says nothing, and trains one model where the training
    has an ensemble, alone where it has a blend.

    Args:
        cfg (DictConfig): Of the training.
        number (int): Of the trial.
        folder (Path): Of the search.

    Returns:
        The configuration, not resolved.
    """
    with open_dict(cfg):  # not as settings: a path may hold what Hydra's grammar reserves
        cfg.name, cfg.run_dir = f"trial_{number}", str(folder / "trials" / str(number))
        cfg.logger = cfg.ensemble = cfg.blend = None
        for name in ("learned", "samples"):
            if name in cfg.callbacks:
                cfg.callbacks[name] = None
        cfg.trainer.enable_checkpointing = False
        cfg.trainer.enable_progress_bar = False
    return OmegaConf.to_container(cfg, resolve=False)


def run_trial(connection: Connection, config: dict[str, Any], stored: Stored, jobs: int) -> None:
    """What the process of a trial does.

    It sends ``("value", number)`` after each validation and waits for a bool that says whether to
    go on; then ``("done", dict)``, ``("pruned", None)``, ``("failed", reason)``, or ``("refused",
    reason)`` where the search has to end.

    Args:
        connection (Connection): To the search.
        config (dict): Of the trial, as :func:`as_trial` makes it.
        stored (Stored): What the search was asked for.
        jobs (int): How many such processes share this machine's cores.
    """
    _end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the search, which ends this
    quiet()
    warnings.simplefilter("ignore")  # the search has told what there is to tell of the data
    torch.set_num_threads(max(1, torch.get_num_threads() // jobs))

    def go_on(value: float) -> bool:
        connection.send(("value", value))
        return connection.recv()

    try:
        connection.send(("done", _train(OmegaConf.create(config), stored, go_on)))
    except Pruned:
        connection.send(("pruned", None))
    except NotComparable as error:
        connection.send(("refused", str(error)))
    except Exception as error:
        connection.send(("failed", reason(error)))


def reason(error: BaseException) -> str:
    """Why a trial failed, in one line."""
    if isinstance(error, InstantiationException) and error.__cause__ is not None:
        error = error.__cause__  # without Hydra's words around it
    lines = str(error).strip().splitlines()
    kind = type(error).__name__
    if not lines:
        return kind
    return lines[0] if isinstance(error, ValueError | OSError) else f"{kind}: {lines[0]}"


def _train(cfg: DictConfig, stored: Stored, go_on: Callable[[float], bool]) -> dict[str, Any]:
    """Train, and say what is to be known of the trial beside its validations."""
    run = run_of(cfg)
    if run.datamodule.fingerprint() != stored.split:
        raise NotComparable(
            "what is varied changes which items there are or how they are split, so that trials "
            "cannot be compared: vary no setting of data that does"
        )
    report = Report(stored.monitor, go_on)
    run.trainer.callbacks.append(report)
    run.train()
    if not report.told:
        raise ValueError("the training ended without a validation")
    return {"parameters": count_parameters(run.task.model)}


def _end_with_parent() -> None:
    """A search that is killed leaves no trial behind."""

    def watch() -> None:
        parent_process().join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
