"""The finished trainings of a plan, one small file each."""

import datetime
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

from gia.data.files import write_atomically
from gia_duel.plan import Dataset, Plan, Trial
from gia_duel.runner import Result, Runner, digest, without_paths

PACKAGES = ("gia", "torch", "torch_geometric")
CURVE = 30  # points of a learning curve that are kept


class Found(NamedTuple):
    """What there is of a trial.

    Attributes:
        state (str): ``done``, ``missing``, ``changed`` (its configuration is another one by now) or
            ``broken`` (the file cannot be read or is not whole).
        reason (str): Why it is not done.
        record (dict, optional): What the file holds, if it is whole.
        before (bool): Whether a run that is done was made before the configuration files were last
            changed.
    """

    state: str
    reason: str = ""
    record: dict[str, Any] | None = None
    before: bool = False


@dataclass(frozen=True)
class Evidence:
    """The folder with the results of a plan: ``DATASET/VARIANT/replicate_N_trial_K.json``.

    Args:
        folder (Path): The plan's own folder.
        plan (Plan): The plan.
        runner (Runner): How its cells are run.
        keep_changed (bool): Whether a result counts whose configuration files have changed since,
            if its settings are the same ones.
    """

    folder: Path
    plan: Plan
    runner: Runner
    keep_changed: bool = False

    def path(self, trial: Trial) -> Path:
        """The file of a trial."""
        return self.folder / f"{trial.path}.json"

    def overrides(self, trial: Trial) -> list[str]:
        """All settings of a trial, as its runner is given them."""
        dataset = self.plan.datasets[trial.dataset]
        return [*self._fixed(trial), *self.runner.replicate(dataset, trial.replicate)]

    def digest(self, trial: Trial) -> str:
        """A digest of the configuration that a trial is run with."""
        varying = self.runner.replicate(self.plan.datasets[trial.dataset], trial.replicate)
        return digest([_settings(self.runner, tuple(self._fixed(trial))), varying])

    def read(self, trial: Trial) -> Found:
        """What the file of a trial holds, whatever configuration it was run with."""
        path = self.path(trial)
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return Found("missing")
        except (OSError, ValueError) as error:
            return Found("broken", f"{path} cannot be read: {error}")
        lacking = _lacking(record, self.plan.datasets[trial.dataset])
        if lacking:
            return Found("broken", f"{path} is not whole: it lacks {', '.join(lacking)}")
        return Found("done", record=record)

    def find(self, trial: Trial) -> Found:
        """What there is of a trial with the configuration of now."""
        found = self.read(trial)
        record = found.record
        if record is None or record["digest"] == self.digest(trial):
            return found
        same = record["overrides"] == without_paths(self.overrides(trial))
        if same and self.keep_changed:
            return found._replace(before=True)
        what = "the configuration files have" if same else "its settings have"
        return Found("changed", f"{what} changed since {record.get('date')}", record)

    def write(self, trial: Trial, result: Result) -> dict[str, Any]:
        """Keep what came out of a trial.

        Returns:
            What the file holds.
        """
        record = {
            "plan": self.plan.name,
            "dataset": trial.dataset,
            "variant": trial.variant,
            "replicate": trial.replicate,
            "trial": trial.number,
            "overrides": without_paths(self.overrides(trial)),
            "steps": result.steps,
            "epochs": _rounded(result.epochs),
            "parameters": result.parameters,
            "val": _rounded(result.val),
            "test": _rounded(result.test),
            "reliability": _rounded(result.reliability),
            "seconds": _rounded(result.seconds),
            "seconds_per_epoch": _rounded(result.seconds_per_epoch),
            "curve": _rounded(thinned(result.curve, CURVE)),
            **({"details": _rounded(result.details)} if result.details else {}),
            "split": result.split,
            "digest": self.digest(trial),
            "versions": {**{name: _version(name) for name in PACKAGES}, **result.versions},
            "date": datetime.date.today().isoformat(),
        }
        lines = (f" {json.dumps(key)}: {json.dumps(value)}" for key, value in record.items())
        path = self.path(trial)
        path.parent.mkdir(parents=True, exist_ok=True)
        with write_atomically(path) as file:
            file.write("{\n" + ",\n".join(lines) + "\n}\n")
        return record

    def _fixed(self, trial: Trial) -> list[str]:
        dataset, variant = self.plan.datasets[trial.dataset], self.plan.variants[trial.variant]
        size = self.plan.num_parameters if variant.matched else None
        return [*self.plan.settings(trial), *self.runner.budget(dataset, size)]


@cache
def _settings(runner: Runner, overrides: tuple[str, ...]) -> Any:
    # Composing takes a tenth of a second, and the replicates of a trial share it.
    return runner.settings(list(overrides))


def thinned(curve: Sequence[Any], most: int) -> list[Any]:
    """At most so many points of a curve, evenly spread, with its first and its last."""
    if len(curve) <= most:
        return list(curve)
    return [curve[round(i * (len(curve) - 1) / (most - 1))] for i in range(most)]


def _lacking(record: Any, dataset: Dataset) -> list[str]:
    if not isinstance(record, dict):
        return ["everything"]
    kinds = {
        "overrides": list, "steps": int, "parameters": int, "val": dict, "test": dict,
        "curve": list, "split": str, "digest": str,
    }  # fmt: skip
    lacking = [key for key, kind in kinds.items() if not isinstance(record.get(key), kind)]
    metrics = {("val", dataset.metric), ("val", dataset.watched[0]), ("test", dataset.metric)}
    for part, metric in sorted(metrics):
        if part not in lacking and not isinstance(record[part].get(metric), int | float):
            lacking.append(f"{part}.{metric}")
    return lacking


def _rounded(value: Any) -> Any:
    """Six digits, and null for what is no number, which JSON has not."""
    if isinstance(value, Mapping):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
