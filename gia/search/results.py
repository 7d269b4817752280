"""What a search leaves: a table of its trials, the best settings as a file, what mattered."""

import csv
import math
import shlex
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import optuna
import yaml
from optuna.importance import FanovaImportanceEvaluator
from optuna.trial import FrozenTrial, TrialState
from rich.table import Table

from gia.analysis import figures
from gia.data.files import write_atomically
from gia.search.figures import importance_figure, trials_figure
from gia.search.space import Space
from gia.search.study import DEFAULT, PARAMETERS, REASON, SECONDS, Stored, current, done

STATES = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
}
FEWEST = 4  # trials of which an importance can be told


class Results:
    """What is known of the trials of a study by now.

    Args:
        study (Study): Of the search.
        stored (Stored): What it was asked for.
        space (Space): What it varies.
        settings (list of str): Of the training, as on the command line.
        folder (Path): Where it writes to.
    """

    def __init__(
        self,
        study: optuna.Study,
        stored: Stored,
        space: Space,
        settings: Sequence[str],
        folder: Path,
    ):
        self.study, self.stored, self.space = study, stored, space
        self.settings, self.folder = list(settings), folder

    @property
    def trials(self) -> list[FrozenTrial]:
        """All that have started, but those that were cut off and have started again."""
        trials = current(self.study.get_trials(deepcopy=False))
        return [trial for trial in trials if trial.state != TrialState.WAITING]

    @property
    def ranked(self) -> list[FrozenTrial]:
        """Trials with a value, the best one first."""
        complete = [trial for trial in self.trials if trial.state == TrialState.COMPLETE]
        return sorted(complete, key=lambda trial: trial.value, reverse=self.stored.mode == "max")

    @property
    def failed(self) -> list[FrozenTrial]:
        """Trials that have a reason in the place of a value."""
        return [trial for trial in self.trials if REASON in trial.user_attrs]

    @property
    def default(self) -> FrozenTrial | None:
        """The trial with the settings as they are, if it has a value."""
        return next((trial for trial in self.ranked if DEFAULT in trial.user_attrs), None)

    @property
    def best_path(self) -> Path:
        """The file of settings that ``gia train`` takes."""
        return self.folder / "best.yaml"

    def counts(self) -> str:
        """How many trials there are of each kind."""
        trials = done(self.study.get_trials(deepcopy=False))
        kinds = Counter(STATES[trial.state] for trial in trials)
        listed = ", ".join(f"{number} {kind}" for kind, number in kinds.items())
        return f"{len(trials)} trials: {listed}"

    def line(self, number: int) -> str:
        """A trial at the console."""
        trial = self.study.get_trials(deepcopy=False)[number]
        told, monitor = len(trial.intermediate_values), self.stored.monitor
        ended = {
            TrialState.COMPLETE: f"{monitor} {_number(trial.value)}",
            TrialState.PRUNED: f"pruned after {told} validations, {monitor} {_number(trial.value)}",
            TrialState.FAIL: f"failed: {trial.user_attrs.get(REASON)}",
        }[trial.state]
        best = self.ranked[0].number if self.ranked else None
        mark = ", the best so far" if best == number else ""
        seconds = f"{trial.user_attrs[SECONDS]:.0f} s"
        default = ["as it is"] if DEFAULT in trial.user_attrs else []
        return f"trial {number}: {ended}{mark} ({', '.join([seconds, *default, *_short(trial)])})"

    def write(self) -> None:
        """Write ``trials.csv``, and ``best.yaml`` if a trial has a value."""
        with write_atomically(self.folder / "trials.csv") as file:
            names = list(self.space.dimensions)
            writer = csv.writer(file, lineterminator="\n")
            fixed = ["trial", "state", self.stored.monitor, "validations", SECONDS, PARAMETERS]
            writer.writerow([*fixed, *names, REASON])
            for trial in self.trials:
                told, noted = len(trial.intermediate_values), trial.user_attrs
                cells = [trial.number, STATES[trial.state], trial.value, told]
                cells += [noted.get(SECONDS), noted.get(PARAMETERS)]
                cells += [_values(trial).get(name) for name in names]
                writer.writerow([*cells, noted.get(REASON)])
        if self.ranked:
            self._write_best(self.ranked[0])

    def _write_best(self, best: FrozenTrial) -> None:
        monitor, default = self.stored.monitor, self.default
        before = "" if default is None else f"; with the settings as they are {default.value:.6g}"
        with write_atomically(self.best_path) as file:
            file.write(
                f"# Trial {best.number}: {monitor} {best.value:.6g}{before}.\n"
                f"# Train with it, and test: {self.train_command()}\n"
            )
            settings = [*self.settings, *self.space.settings(best.params)]
            yaml.safe_dump(settings, file, allow_unicode=True, width=math.inf)

    def table(self, most: int = 5) -> Table:
        """The best trials.

        Args:
            most (int): How many of them.
        """
        table = Table(title="Best trials", title_justify="left")
        names = list(self.space.dimensions)
        for name in ("trial", self.stored.monitor, *names):
            table.add_column(name, justify="right")
        for trial in self.ranked[:most]:
            cells = [trial.number, trial.value, *(_values(trial).get(name, "") for name in names)]
            table.add_row(*map(_number, cells))
        return table

    def verdict(self) -> list[str]:
        """What the search has come to, and how to go on, in lines."""
        best, default, monitor = self.ranked[0], self.default, self.stored.monitor
        if default is None:
            said = [f"{monitor} {_number(best.value)} at best (trial {best.number})"]
        elif default is best:
            said = [
                f"{monitor} {_number(best.value)}: nothing was better than the settings as they are"
            ]
        else:
            said = [
                f"{monitor} {_number(best.value)} at best (trial {best.number}), "
                f"{_number(default.value)} with the settings as they are"
            ]
        shares = [f"{name} {share:.2f}" for name, share in self.importance().items()]
        if shares:
            said.append(f"importance: {', '.join(shares)}")
        return [*said, f"train with the best, and test: {self.train_command()}"]

    def train_command(self) -> str:
        """What is to be typed to train with the best settings."""
        return f"gia train {shlex.quote(f'@{self.best_path}')}"

    def importance(self) -> dict[str, float]:
        """The share of each setting in how the value varies over the space, by fANOVA.

        Returns:
            The largest first; nothing, where there are too few trials or settings to say.
        """
        # Of trials that have a value of each setting: the first may have been outside of the space.
        told = [trial for trial in self.ranked if len(trial.params) == len(self.space)]
        if len(told) < FEWEST or len({trial.value for trial in told}) < 2 or len(self.space) < 2:
            return {}
        study = optuna.create_study(direction=f"{self.stored.mode}imize")
        study.add_trials(told)
        evaluator = FanovaImportanceEvaluator(seed=0)
        with warnings.catch_warnings(action="ignore"):
            shares = optuna.importance.get_param_importances(study, evaluator=evaluator)
        return {name: float(share) for name, share in shares.items()}

    def draw(self) -> None:
        """Draw the values of all trials in turn, and what mattered if it can be told."""
        figures.save(trials_figure(self.trials, self.stored), self.folder / "trials")
        shares = self.importance()
        if shares:
            figures.save(importance_figure(shares, self.stored), self.folder / "importance")


def _short(trial: FrozenTrial) -> list[str]:
    return [f"{name}={_number(value)}" for name, value in _values(trial).items()]


def _values(trial: FrozenTrial) -> dict[str, Any]:
    """Of what is varied, also where the first trial has values outside of the space."""
    return trial.params or trial.user_attrs.get(DEFAULT, {})


def _number(value: Any) -> str:
    """A number in four digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
