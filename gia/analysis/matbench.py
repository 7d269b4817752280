"""Predictions of Matbench's five folds in Matbench's own record format."""

import csv
import hashlib
import json
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from omegaconf import DictConfig, OmegaConf

BENCHMARK, VERSION = "matbench_v0.1", "0.6"  # of the format
FOLDS = 5
# Tables here that are not called as Matbench calls them.
TASKS = {"steels_yield": "matbench_steels"}
SMALLEST = 1e-5  # targets that are smaller count for no percentage, as there


class Fold(NamedTuple):
    """What a run says of the fold that it tested.

    Attributes:
        task (str): Matbench's name of the table.
        number (int): Of the fold.
        rows (array): Where each prediction stands in the table, from 0, ``[n]``.
        target (array): Numbers, or 1 where the second of two classes is, ``[n]``.
        predicted (array): Numbers, or probabilities of the second class, ``[n]``.
        classes (bool): Whether there are classes.
        parameters (dict): What is to be known of the run.
        folder (Path): Of the run.
    """

    task: str
    number: int
    rows: np.ndarray
    target: np.ndarray
    predicted: np.ndarray
    classes: bool
    parameters: dict[str, Any]
    folder: Path


def matbench_record(
    folders: Iterable[str | Path],
    task: str | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """What `Matbench's package <https://github.com/materialsproject/matbench>`_ reads by
    ``MatbenchBenchmark.from_file``: the predictions and scores of all folds, and a hash of them.

    Args:
        folders (list of Path): Runs with ``data.split=matbench``, or folders of such runs, as a
            multirun leaves them; of one task or of several, five folds each.
        task (str, optional): Matbench's name of the table, such as ``matbench_expt_gap``; left
            out, the name of its file says it.
        metadata (dict, optional): Anything to be kept beside: texts, numbers, lists of them.

    Raises:
        OSError: If there is no run.
        ValueError: If one is of no fold of Matbench, or a fold is missing or there twice.
    """
    tasks: dict[str, dict[int, Fold]] = defaultdict(dict)
    for folder in folders:
        for run in _runs_in(Path(folder).expanduser()):
            fold = _read(run, task)
            other = tasks[fold.task].setdefault(fold.number, fold)
            if other is not fold:
                raise ValueError(
                    f"{other.folder} and {fold.folder} both tested fold {fold.number} of "
                    f"{fold.task}: name the runs of one model"
                )
    known = {name: _task(name, folds) for name, folds in tasks.items()}
    record = {
        "@module": "matbench.bench",
        "@class": "MatbenchBenchmark",
        "version": VERSION,
        "tasks": known,
        "user_metadata": dict(metadata or {}),
        "benchmark_name": BENCHMARK,
        "datestamp": datetime.now(UTC).strftime("%Y.%m.%d %H:%M.%S"),
    }
    text = json.dumps(record, sort_keys=True)  # as the package writes what it hashes
    return record | {"hash": hashlib.sha256(text.encode()).hexdigest()}


def matbench_scores(target: np.ndarray, predicted: np.ndarray, classes: bool) -> dict[str, float]:
    """The scores of a fold, as Matbench's package counts them.

    Args:
        target (array): Numbers, or 0 and 1, ``[n]``.
        predicted (array): Numbers, or probabilities of 1, ``[n]``.
        classes (bool): Whether these are classes. The package takes probabilities above 0.5 for
            the second, and then measures the area under the curve of these decisions, not of the
            probabilities.
    """
    from sklearn import metrics

    if classes:
        said = predicted > 0.5
        found = {
            "accuracy": metrics.accuracy_score(target, said),
            "balanced_accuracy": metrics.balanced_accuracy_score(target, said),
            "f1": metrics.f1_score(target, said),
            "rocauc": metrics.roc_auc_score(target, said),
        }
    else:
        large = np.abs(target) > SMALLEST
        share = np.abs((target - predicted)[large] / target[large])
        found = {
            "mae": metrics.mean_absolute_error(target, predicted),
            "rmse": metrics.mean_squared_error(target, predicted) ** 0.5,
            "mape": share.mean() if large.any() else 0.0,
            "max_error": metrics.max_error(target, predicted),
        }
    return {name: float(value) for name, value in found.items()}


def _runs_in(folder: Path) -> list[Path]:
    """The folder of a run, or those of the runs in it."""
    if (folder / "predictions.csv").is_file():
        return [folder]
    found = sorted(file.parent for file in folder.glob("*/predictions.csv"))
    if not found:
        raise FileNotFoundError(
            f"{folder} is no folder of a run, nor of several: predictions.csv is missing"
        )
    return found


def _read(folder: Path, task: str | None) -> Fold:
    cfg = OmegaConf.load(folder / "config.yaml")
    if cfg.data.get("split") != "matbench":
        raise ValueError(
            f"{folder} tested no fold of Matbench: train with data.split=matbench, "
            f"got data.split={cfg.data.get('split')}"
        )
    name = Path(str(cfg.data.path)).name.split(".")[0]
    task = task or TASKS.get(name, name if name.startswith("matbench_") else f"matbench_{name}")
    (column,) = cfg.inputs.target_names
    names = list(cfg.inputs.get("class_names") or ())
    if names and len(names) != 2:
        raise ValueError(f"{folder} has {len(names)} classes, and Matbench's tables have two")
    with (folder / "predictions.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    predicted = f"probability_{names[1]}" if names else f"predicted_{column}"
    return Fold(
        task=task,
        number=int(cfg.data.fold),
        rows=np.array([int(row["row"]) for row in table]),
        target=np.array([_number(row[column], names) for row in table]),
        predicted=np.array([float(row[predicted]) for row in table]),
        classes=bool(names),
        parameters=_parameters(cfg),
        folder=folder,
    )


def _parameters(cfg: DictConfig) -> dict[str, Any]:
    """What was trained, and what is averaged with it."""
    found = {"model": cfg.model["_target_"], "seed": cfg.seed}
    if cfg.get("ensemble") is not None:
        found |= {"ensemble": cfg.ensemble, "ensemble_by": cfg.ensemble_by}
    blend = cfg.get("blend")
    if blend is not None:
        parts = [blend] if "_target_" in blend else [one for one in blend.values() if one]
        found["blend"] = [one["_target_"] for one in parts]
    return found


def _number(cell: str, names: list[str]) -> float:
    return float(names.index(cell)) if names else float(cell)


def _task(name: str, folds: Mapping[int, Fold]) -> dict[str, Any]:
    """A task's part of the record."""
    missing = sorted(set(range(FOLDS)) - folds.keys())
    if missing:
        raise ValueError(
            f"{name} lacks fold {', '.join(map(str, missing))}: train with data.fold=0,1,2,3,4 "
            "(gia train -m) and name the folder of all five"
        )
    rows = np.sort(np.concatenate([fold.rows for fold in folds.values()]))
    if not np.array_equal(rows, np.arange(len(rows))):
        raise ValueError(
            f"the five folds of {name} do not hold each row of one table once: are they of runs "
            "with other tables, or with rows that could not be read?"
        )
    digits = math.floor(math.log10(len(rows))) + 1
    prefix = name.replace("matbench", "mb", 1).replace("_", "-")
    results = {}
    for number, fold in sorted(folds.items()):
        names = [f"{prefix}-{row + 1:0{digits}d}" for row in fold.rows]
        results[f"fold_{number}"] = {
            "data": dict(zip(names, fold.predicted.tolist(), strict=True)),
            "uncertainty": None,
            "parameters": fold.parameters,
            "scores": matbench_scores(fold.target, fold.predicted, fold.classes),
        }
    return {
        "@module": "matbench.task",
        "@class": "MatbenchTask",
        "benchmark_name": BENCHMARK,
        "dataset_name": name,
        "results": results,
    }
