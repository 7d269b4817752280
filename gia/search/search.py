"""The search itself: it asks Optuna, starts trials and hears what comes of them."""

import contextlib
import multiprocessing
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import optuna
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException
from optuna.pruners import BasePruner, NopPruner
from optuna.samplers import BaseSampler
from optuna.trial import TrialState

from gia.search.results import Results
from gia.search.space import Space
from gia.search.study import (
    DEFAULT,
    PARAMETERS,
    REASON,
    SECONDS,
    Stored,
    alone,
    done,
    enqueue_interrupted,
    open_study,
)
from gia.search.trial import as_trial, reason, run_trial

# Processes that start at once, as all libraries are there already, and share nothing.
PROCESSES = multiprocessing.get_context("forkserver")


@dataclass
class Running:
    """A trial while its process trains, and the validations that it has told."""

    trial: optuna.Trial
    process: Any = None
    values: list[float] = field(default_factory=list)
    start: float = field(default_factory=time.monotonic)


class Search:
    """Trials of one training, each with settings that a sampler of Optuna's has chosen.

    The first trial has the settings of the training as they are, so that the best is never worse.
    Optuna is asked and told in this process alone; a trial knows nothing of it, trains without a
    test, and is a process of its own, so that one that runs out of memory ends nothing else.

    Args:
        folder (Path): Of the search; it holds a ``search.yaml``.
        space (Space): What is varied.
        settings (list of str): Of the training, as on the command line.
        configure (callable): From settings besides to the configuration of a training.
        default (dict): The value of each setting of the space as it is, if it has one.
        sampler (callable): Given a ``seed``, a sampler of Optuna's.
        pruner (BasePruner, optional): Which trials end early; without, none does.
        seed (int): Of what the sampler draws.
        say (callable): Where a line for the user goes.

    Raises:
        OSError, ValueError: If the folder holds no search that can be read.
    """

    def __init__(
        self,
        folder: Path,
        space: Space,
        *,
        settings: Sequence[str],
        configure: Callable[[Sequence[str]], DictConfig],
        default: Mapping[str, Any],
        sampler: Callable[..., BaseSampler],
        pruner: BasePruner | None = None,
        seed: int = 0,
        say: Callable[[str], None] = print,
    ):
        self.folder, self.space, self.stored = folder, space, Stored.read(folder)
        self.study = open_study(folder, self.stored.mode)
        self.study.pruner = pruner or NopPruner()
        self.results = Results(self.study, self.stored, space, list(settings), folder)
        self._configure = configure
        self._default, self._inside = dict(default), space.holds(default)
        self._sampler, self._seed, self._say = sampler, seed, say

    def run(self, trials: int, jobs: int = 1) -> None:
        """Go on until so many trials are done, those of before included.

        Args:
            trials (int): With a value, ended early or failed.
            jobs (int): How many train at the same time, each with its share of the cores.

        Raises:
            ValueError: If another process searches in this folder, or trials cannot be compared.
        """
        PROCESSES.set_forkserver_preload(["gia.search.trial"])
        with alone(self.folder):
            trials = self._begin(trials)
            running: dict[Connection, Running] = {}
            try:
                while self._fill(running, trials, jobs):
                    for connection in wait(list(running)):
                        if self._hear(connection, running[connection]):
                            del running[connection]
            finally:
                for left in running.values():
                    left.process.kill()
                    left.process.join()

    def _begin(self, trials: int) -> int:
        """Enqueue what is known to be tried; says how many trials there can be."""
        known = self.study.get_trials(deepcopy=False)
        if known:
            ended, again = len(done(known)), enqueue_interrupted(self.study)
            self._say(
                f"  {ended} of {trials} trials are done; {again} were cut off and start again"
            )
        else:
            # Where the space does not hold the settings as they are, Optuna learns nothing of them.
            params = self._default if self._inside else {}
            self.study.enqueue_trial(params, user_attrs={DEFAULT: self._default})
        grid = self.space.grid(trials)
        if grid is None:
            return trials
        self._say(f"  the space holds {len(grid)} combinations: each is tried once")
        for params in grid:
            self.study.enqueue_trial(params, skip_if_exists=True)
        return len(grid) + (not self._inside)

    def _fill(self, running: dict[Connection, Running], trials: int, jobs: int) -> bool:
        """Start as many trials as there is room for; says whether any is running."""
        while len(running) < jobs:
            number = len(done(self.study.get_trials(deepcopy=False))) + len(running)
            if number >= trials:
                break
            # By how many there were: a search that was killed draws what it would have drawn.
            self.study.sampler = self._sampler(seed=self._seed + number)
            started = self._start(self.study.ask(), jobs)
            if started is not None:
                connection, trial = started
                running[connection] = trial
        return bool(running)

    def _start(self, trial: optuna.Trial, jobs: int) -> tuple[Connection, Running] | None:
        """Start the process of a trial; nothing if it cannot be configured."""
        as_it_is = DEFAULT in trial.user_attrs and not self._inside
        try:
            cfg = self._configure([] if as_it_is else self.space.suggest(trial))
        except (HydraException, OmegaConfBaseException, ValueError) as error:
            self._end(Running(trial), "failed", reason(error))
            return None
        ours, theirs = PROCESSES.Pipe()
        arguments = (theirs, as_trial(cfg, trial.number, self.folder), self.stored, jobs)
        process = PROCESSES.Process(target=run_trial, args=arguments)
        process.start()
        theirs.close()  # so that the pipe ends with the process
        return ours, Running(trial, process)

    def _hear(self, connection: Connection, running: Running) -> bool:
        """Take one message of a trial; says whether it was the last.

        Raises:
            ValueError: If the search makes no sense.
        """
        try:
            kind, content = connection.recv()
        except (EOFError, ConnectionError):
            running.process.join()
            kind, content = "failed", _death(running.process.exitcode)
        if kind == "value":
            running.values.append(content)
            running.trial.report(content, len(running.values))
            # The first trial is what the others are compared with.
            first = DEFAULT in running.trial.user_attrs
            with contextlib.suppress(ConnectionError):
                connection.send(bool(first or not running.trial.should_prune()))
            return False
        if kind == "refused":
            raise ValueError(content)
        connection.close()
        running.process.join()
        self._end(running, kind, content)
        return True

    def _end(self, running: Running, kind: str, content: Any) -> None:
        trial = running.trial
        trial.set_user_attr(SECONDS, round(time.monotonic() - running.start, 1))
        if kind == "failed":
            trial.set_user_attr(REASON, content)
            self.study.tell(trial, state=TrialState.FAIL)
        elif kind == "pruned":
            self.study.tell(trial, state=TrialState.PRUNED)
        else:
            trial.set_user_attr(PARAMETERS, content["parameters"])
            self.study.tell(trial, self.stored.better(running.values))
        self.results.write()
        self._say(f"  {self.results.line(trial.number)}")


def _death(code: int) -> str:
    """How a process ended that said nothing."""
    if code != -signal.SIGKILL:
        return f"its process ended with status {code}"
    return "its process was killed, as happens where memory runs out"
