"""Lightning modules, metrics, callbacks, and the story of a run."""

from gia.training.build import resolve_model
from gia.training.callbacks import (
    BestCheckpoint,
    FinalValidation,
    History,
    ProgressBar,
    RandomState,
    StepCheckpoint,
    Throughput,
)
from gia.training.checkpoint import AtomicCheckpointIO, check_architecture, load_checkpoint
from gia.training.language_modeling import LanguageModeling
from gia.training.metrics import LanguageMetrics
from gia.training.run import Interrupted, Run, load_trained
from gia.training.task import Task, parameter_groups

__all__ = [
    "AtomicCheckpointIO",
    "BestCheckpoint",
    "FinalValidation",
    "History",
    "Interrupted",
    "LanguageMetrics",
    "LanguageModeling",
    "ProgressBar",
    "RandomState",
    "Run",
    "StepCheckpoint",
    "Task",
    "Throughput",
    "check_architecture",
    "load_checkpoint",
    "load_trained",
    "parameter_groups",
    "resolve_model",
]
