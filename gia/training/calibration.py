"""What a model learns when it is trained, and keeps in its checkpoint beside its weights."""

from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from gia.data import DataModule
from gia.data.training_set import TrainingSet
from gia.tasks.calibrated import Calibrated
from gia.tasks.calibration import from_state
from gia.tasks.task import Task
from gia.training.checkpoint import AtomicCheckpointIO, read_checkpoint

# Beside what Lightning keeps; files of before have neither.
CALIBRATION, TRAINING_SET = "calibration", "training_set"


def learn(task: Task, data: DataModule, trainer: pl.Trainer | None = None) -> None:
    """Calibrate a trained task on the validation part, and let it know its training part.

    A task without targets is left as it is.

    Args:
        task (Task): With the weights that are kept.
        data (DataModule): What it was trained on.
        trainer (Trainer, optional): In whose precision, and on how many batches; left out, on all.
    """
    if not isinstance(task, Calibrated):
        return
    task.calibration, task.training_set = None, None
    loader = data.loader("val")
    limit = 1.0 if trainer is None else trainer.limit_val_batches
    if isinstance(limit, float):
        limit = int(limit * len(loader))
    if limit:
        task.calibrate(loader, trainer=trainer, limit=limit)
    if len(set(data.items.components.values())) > 1:  # molecules beside sequences
        return
    texts = [data.texts[i] for i in data.split.members("train")]
    task.training_set = TrainingSet.of(data.items.kind, texts)


def keep(task: Task, path: Path) -> None:
    """Write what was learned into a checkpoint of the task."""
    if isinstance(task, Calibrated):
        AtomicCheckpointIO().save_checkpoint(read_checkpoint(path) | _kept(task), path)


def restore(task: Task, checkpoint: dict[str, Any], path: str | Path) -> None:
    """Give a task what :func:`keep` wrote; of an older checkpoint nothing.

    Raises:
        ValueError: If it is damaged.
    """
    try:
        if checkpoint.get(CALIBRATION) is not None:
            task.calibration = from_state(checkpoint[CALIBRATION])
        if checkpoint.get(TRAINING_SET) is not None:
            task.training_set = TrainingSet(**checkpoint[TRAINING_SET])
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"{path} has a damaged calibration ({error}): train the model again"
        ) from error


def _kept(task: Calibrated) -> dict[str, Any]:
    found = {CALIBRATION: task.calibration, TRAINING_SET: task.training_set}
    return {name: None if value is None else value.state() for name, value in found.items()}
