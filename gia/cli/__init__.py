"""The console: ``gia`` and its commands."""

from gia.cli.commands import console, embed, evaluate, generate, predict, train
from gia.cli.entry import main

__all__ = ["console", "embed", "evaluate", "generate", "main", "predict", "train"]
