"""The story of a run: its parts, its callbacks, its checkpoints."""

from gia.training.attention_measures import AttentionMeasures
from gia.training.averaging import AverageWeights
from gia.training.build import resolve_model
from gia.training.callbacks import (
    BestCheckpoint,
    History,
    RandomState,
    StepCheckpoint,
    Throughput,
)
from gia.training.checkpoint import AtomicCheckpointIO, check_architecture, load_checkpoint
from gia.training.chemprop import ChempropRun
from gia.training.ensemble import EnsembleRun, run_of
from gia.training.finite import FiniteSteps
from gia.training.fitted import FittedRun
from gia.training.initialize import InitializeAdapter
from gia.training.joined import join
from gia.training.learned import Learned
from gia.training.load import calibrate, load_trained
from gia.training.measured import MeasuredRun
from gia.training.progress_bar import ProgressBar
from gia.training.run import Interrupted, Run
from gia.training.samples import Samples
from gia.training.trained_data import other_items, trained_data
from gia.training.trusted import RefusedError, check_settings

__all__ = [
    "AtomicCheckpointIO",
    "AttentionMeasures",
    "AverageWeights",
    "BestCheckpoint",
    "ChempropRun",
    "EnsembleRun",
    "FiniteSteps",
    "FittedRun",
    "History",
    "InitializeAdapter",
    "Interrupted",
    "Learned",
    "MeasuredRun",
    "ProgressBar",
    "RandomState",
    "RefusedError",
    "Run",
    "Samples",
    "StepCheckpoint",
    "Throughput",
    "calibrate",
    "check_architecture",
    "check_settings",
    "join",
    "load_checkpoint",
    "load_trained",
    "other_items",
    "resolve_model",
    "run_of",
    "trained_data",
]
