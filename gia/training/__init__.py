"""Lightning modules, metrics, callbacks, and the story of a run."""

from gia.training.build import resolve_model
from gia.training.callbacks import (
    BestCheckpoint,
    History,
    ProgressBar,
    RandomState,
    StepCheckpoint,
    Throughput,
)
from gia.training.checkpoint import AtomicCheckpointIO, check_architecture, load_checkpoint
from gia.training.forest import ForestRun
from gia.training.language_modeling import LanguageModeling
from gia.training.metrics import LanguageMetrics, Metrics
from gia.training.prediction import Classification, Prediction, Regression
from gia.training.prediction_metrics import ClassificationMetrics, RegressionMetrics
from gia.training.run import Interrupted, Run, load_trained
from gia.training.scaler import TargetScaler
from gia.training.supervised import Supervised
from gia.training.task import Task, parameter_groups
from gia.training.trained_data import trained_data

__all__ = [
    "AtomicCheckpointIO",
    "BestCheckpoint",
    "Classification",
    "ClassificationMetrics",
    "ForestRun",
    "History",
    "Interrupted",
    "LanguageMetrics",
    "LanguageModeling",
    "Metrics",
    "Prediction",
    "ProgressBar",
    "RandomState",
    "Regression",
    "RegressionMetrics",
    "Run",
    "StepCheckpoint",
    "Supervised",
    "TargetScaler",
    "Task",
    "Throughput",
    "check_architecture",
    "load_checkpoint",
    "load_trained",
    "parameter_groups",
    "resolve_model",
    "trained_data",
]
