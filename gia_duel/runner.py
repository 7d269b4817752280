"""How one cell of a comparison is run: what any way of running it must offer."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any, Protocol

from hydra.errors import InstantiationException

from gia_duel.plan import Dataset

# Settings that say where things are, and not what is done.
PLACES = {"path", "root", "url", "cache", "folder", "dirpath", "save_dir", "default_root_dir"}


@dataclass(frozen=True)
class Checked:
    """What is known of a training before it starts.

    Attributes:
        parameters (int): Trainable parameters of its model.
        split (str): The fingerprint of its split.
    """

    parameters: int
    split: str


@dataclass(frozen=True)
class Result:
    """What came out of a training.

    Attributes:
        steps (int): Optimiser steps taken.
        epochs (float, optional): How often the training data was gone through.
        parameters (int): Trainable parameters.
        val (dict): The metrics of the chosen checkpoint on validation.
        test (dict): And on test.
        seconds (float): Spent training.
        seconds_per_epoch (float, optional): The same for one pass over the training data.
        split (str): The fingerprint of the split.
        curve (list of pairs): The watched validation metric after so many steps.
        versions (dict): Of other programs that took part.
        reliability (dict): How far what the model says of its errors on test is true, ``before`` it
            is calibrated and ``after``; empty if it is not.
        details (dict): What :mod:`gia_duel.generalisation` reads, where the plan asks for it.
    """

    steps: int
    epochs: float | None
    parameters: int
    val: Mapping[str, float]
    test: Mapping[str, float]
    seconds: float
    seconds_per_epoch: float | None
    split: str
    curve: Sequence[tuple[int, float]] = field(default=())
    versions: Mapping[str, str] = field(default_factory=dict)
    reliability: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)


class Runner(Protocol):
    """How one cell is run; ``plan.run`` names the class. Settings are lists of Hydra overrides."""

    def budget(self, dataset: Dataset, num_parameters: int | None) -> list[str]:
        """The budget, the metric and the size of the model, as settings."""
        ...

    def replicate(self, dataset: Dataset, number: int) -> list[str]:
        """The seed and the split of a replicate, as settings."""
        ...

    def settings(self, overrides: list[str]) -> Any:
        """All that decides what comes out, as plain values; without places, names and dates."""
        ...

    def check(self, overrides: list[str]) -> Checked:
        """The size and the split of a run, found cheaply, without training.

        Raises:
            ImportError: If what the run needs is not installed.
        """
        ...

    def run(self, overrides: list[str], dataset: Dataset, folder: Path, accept: Callable) -> Result:
        """Train and test.

        Args:
            overrides (list of str): The settings.
            dataset (Dataset): What is measured.
            folder (Path): To work in, the same one again after an interruption: what lies in it
                from an earlier attempt is gone on with.
            accept (callable): To be called with a :class:`Checked` before the training starts; it
                raises ValueError if the run would not be fair.
        """
        ...


def digest(value: Any) -> str:
    """A short digest of plain values; entries of None do not count.

    So an option that is added later, with nothing in it, leaves the digests of runs as they were.
    """
    text = json.dumps(_present(value), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def said(error: BaseException) -> BaseException:
    """What an error says of itself, without Hydra's words around it."""
    wrapped = isinstance(error, InstantiationException) and error.__cause__ is not None
    return error.__cause__ if wrapped else error


def without_paths(overrides: Sequence[str]) -> list[str]:
    """The settings with the file's name alone where a setting says where something lies."""

    def short(override: str) -> str:
        key, equals, value = override.partition("=")
        place = key.rpartition(".")[2] in PLACES
        return f"{key}={PurePath(value).name}" if equals and place else override

    return [short(override) for override in overrides]


def _present(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _present(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [_present(item) for item in value]
    return value
