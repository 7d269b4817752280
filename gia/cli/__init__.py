"""The console: ``gia train``, ``evaluate``, ``predict``, ``generate``, ``search``, ``duel``."""

from gia.cli.commands import console, evaluate, generate, predict, train
from gia.cli.entry import main

__all__ = ["console", "evaluate", "generate", "main", "predict", "train"]
