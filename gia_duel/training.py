"""A cell as a training run of this package."""

import json
import math
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf, open_dict

from gia.analysis.reliability_figures import AFTER, BEFORE
from gia.nn import Several, count_parameters
from gia.training import EnsembleRun, Interrupted, Run, resolve_model, run_of
from gia.training.attention_measures import single_numbers
from gia_duel.evidence import CURVE, thinned
from gia_duel.generalisation import BEST, ITEMS, LAYERS, LOSSES
from gia_duel.plan import Dataset
from gia_duel.runner import PLACES, Checked, Result

# What a run is called, and what only watches it: the results are the same whatever these say.
IDLE = ("name", "run_dir", "ckpt_path", "inputs", "logger", "hydra")
IDLE_CALLBACKS = ("progress_bar", "throughput", "last", "last_steps", "finite")
SPLIT = "data.split="  # begins the setting that a data set may have
# Steps are few and small here: a checkpoint each epoch would take longer than the epoch.
QUIET = (
    "~logger",
    "++trainer.enable_progress_bar=false",
    "callbacks.progress_bar=null",
    "callbacks.last.every_n_epochs=5",
)


@dataclass(frozen=True)
class Training:
    """The default runner: ``conf/train.yaml`` and the settings of the cell.

    A replicate sets the seed, and the split with it: the seed of a random one, or the fold, of the
    split that the data set names or of a cross-validation of its own. With a budget in steps all
    take the same number of them, without early stopping, and the checkpoint is picked on validation
    as the plan says; without, all is as configured.

    Args:
        config_name (str): The configuration that a run starts from.
        sized (bool): Whether the plan's number of parameters makes models as large, by
            ``model.num_parameters``; else each is as large as it is configured, and the number is
            what they are held to.
        details (bool): Whether to keep losses of training, losses of each test sequence and what
            layers have learned too, for language models: see :mod:`gia_duel.generalisation`.
    """

    config_name: str = "train"
    sized: bool = True
    details: bool = False
    # What is known of the data that was read last, by the settings of that data.
    _data: dict[str, tuple[dict[str, Any], str]] = field(
        default_factory=dict, compare=False, repr=False
    )

    def budget(self, dataset: Dataset, num_parameters: int | None) -> list[str]:
        metric, better = dataset.watched
        sized = self.sized and num_parameters is not None
        size = [f"++model.num_parameters={num_parameters}"] if sized else []
        if dataset.steps is None:
            return size
        return [
            *size,
            f"steps={dataset.steps}",
            f"callbacks.best.monitor=val/{metric}",
            f"++callbacks.best.mode={'min' if better == 'lower' else 'max'}",
            "callbacks.early_stopping=null",
        ]

    def replicate(self, dataset: Dataset, number: int) -> list[str]:
        if dataset.folds is None:
            return [f"seed={number}", f"data.split_seed={number}"]
        fold = [f"data.fold={number}"]
        if not any(override.startswith(SPLIT) for override in dataset.overrides):
            fold = [f"{SPLIT}kfold", f"data.folds={dataset.folds}", *fold]
        return [f"seed={number}", *fold]

    def settings(self, overrides: list[str]) -> dict[str, Any]:
        cfg = self.compose(overrides)
        # As written: the data that some of it refers to has not been read, and places differ.
        values = OmegaConf.to_container(cfg, resolve=False)
        values = {key: value for key, value in values.items() if key not in IDLE}
        callbacks = values.get("callbacks") or {}
        values["callbacks"] = {k: v for k, v in callbacks.items() if k not in IDLE_CALLBACKS}
        if self.details:
            values["details"] = True
        return _without_places(values)

    def check(self, overrides: list[str]) -> Checked:
        cfg = self.compose(overrides)
        inputs, split = self._inputs(cfg)
        with torch.device("meta"):
            model = instantiate(resolve_model(cfg, inputs))
        return Checked(count_parameters(model), split)

    def run(
        self,
        overrides: list[str],
        dataset: Dataset,
        folder: Path,
        accept: Callable[[Checked], None],
    ) -> Result:
        attempts = sorted(folder.glob("attempt_*"), key=_number)
        for path in reversed(attempts):
            checkpoint = _left_by(path)
            if checkpoint is None:
                continue
            try:
                run = self._start(overrides, folder, _number(attempts[-1]) + 1, checkpoint)
            except (OSError, ValueError) as error:
                print(f"  cannot resume from {checkpoint}: {error}", file=sys.stderr)
                continue
            print(f"  resuming from {checkpoint}")
            break
        else:
            for path in attempts:
                shutil.rmtree(path)
            run = self._start(overrides, folder, 0, None)
        return self._finish(run, dataset, accept)

    def compose(self, overrides: list[str]) -> DictConfig:
        """The configuration of a run."""
        if GlobalHydra.instance().is_initialized():  # inside the command, its search path included
            return compose(self.config_name, overrides=overrides)
        with initialize_config_module("gia.conf", version_base="1.3"):
            return compose(self.config_name, overrides=overrides)

    def _start(self, overrides: list[str], folder: Path, number: int, ckpt: Path | None) -> Run:
        cfg = self.compose([*overrides, *QUIET])
        with open_dict(cfg):  # not as overrides: a path may hold what Hydra's grammar reserves
            cfg.name, cfg.run_dir = folder.parent.name, str(folder / f"attempt_{number}")
            cfg.ckpt_path = None if ckpt is None else str(ckpt)
        return run_of(cfg)

    def _finish(self, run: Run, dataset: Dataset, accept: Callable[[Checked], None]) -> Result:
        config = OmegaConf.load(run.folder / "config.yaml")
        accept(Checked(count_parameters(run.task.model), config.split_fingerprint))
        if self.details and not hasattr(run.task, "item_losses"):
            raise ValueError(
                f"details: true is for language models, and datasets.{dataset.name} is for "
                f"{run.task.kind}: leave it out of the plan's run"
            )
        try:
            test = run.fit()
        except Interrupted as stop:
            raise KeyboardInterrupt from stop
        epochs = _validations(run)
        best = best_row(epochs, *_picked_by(config))
        val, test = _of_split(best, "val"), _of_split(test, "test")
        for part, metrics in (("validation", val), ("test", test)):
            value = metrics.get(dataset.metric)
            if value is None or not math.isfinite(value):
                known = ", ".join(f"{name} {number:.4g}" for name, number in metrics.items())
                raise ValueError(
                    f"{dataset.metric} on {part} is {value}; {part} gave {known}: choose a metric "
                    f"that is a number there in datasets.{dataset.name}.metric"
                )
        steps, per_epoch = _steps(run, config)
        name = f"val/{dataset.watched[0]}"
        return Result(
            steps=steps,
            epochs=steps / per_epoch if per_epoch else None,
            parameters=count_parameters(run.task.model),  # of all members by now
            val=val,
            test=test,
            seconds=run.throughput.seconds,
            seconds_per_epoch=run.throughput.seconds / steps * per_epoch if per_epoch else None,
            split=config.split_fingerprint,
            curve=[(row["step"], row[name]) for row in epochs if name in row],
            versions=getattr(run.task.model, "versions", {}),
            reliability=_reliability(run),
            details=_details(run, epochs, best) if self.details else {},
        )

    def _inputs(self, cfg: DictConfig) -> tuple[dict[str, Any], str]:
        """What a model must know of the data, read once for variants that follow each other."""
        key = json.dumps([OmegaConf.to_container(cfg.data, resolve=True), cfg.seed], default=str)
        if key not in self._data:
            datamodule = instantiate(cfg.data)
            datamodule.setup()
            self._data.clear()
            self._data[key] = datamodule.inputs(), datamodule.fingerprint()
        return self._data[key]


def _picked_by(config: DictConfig) -> tuple[str, str]:
    """The validation metric that a run has kept its checkpoint by, and which way it is better."""
    best = config.callbacks.best
    return best.monitor.removeprefix("val/"), "higher" if best.get("mode") == "max" else "lower"


def _validations(run: Run) -> list[dict[str, float]]:
    """The metrics of each validation; of several models asked as one, what they say together."""
    if not isinstance(run.task.model, Several):
        return run.history.epochs
    run.trainer.validate(run.task, run.datamodule, verbose=False)
    found = {name: float(value) for name, value in run.trainer.callback_metrics.items()}
    return [{"step": 0, **found}]


def _reliability(run: Run) -> dict[str, dict[str, float]]:
    """Of what the tested model says of its errors; nothing if it is not calibrated."""
    if getattr(run.task, "calibration", None) is None:
        return {}
    found = run.task.predictions(run.datamodule.loader("test"), trainer=run.trainer)
    metrics = run.task.reliability(found)
    return {
        when: {name: value for name, value in metrics[key].items() if "/" not in name}
        for when, key in (("before", BEFORE), ("after", AFTER))
        if key in metrics
    }


def _details(run: Run, epochs: list[dict[str, float]], best: dict[str, float]) -> dict[str, Any]:
    """Of a language model: its losses at each validation, the best one of these, what its layers
    have learned, and the nats and symbols of each test sequence."""
    numbers = [of_layer for _, of_layer in sorted(single_numbers(run.task.model).items())]
    names = dict.fromkeys(name for of_layer in numbers for name in of_layer)
    items = run.task.item_losses(run.datamodule.loader("test"), trainer=run.trainer)
    losses = [(row["step"], row["train_eval/loss"], row["val/loss"]) for row in epochs]
    return {
        BEST: (best["step"], best["val/loss"]),
        LOSSES: thinned(losses, CURVE),
        LAYERS: {name: [of_layer.get(name) for of_layer in numbers] for name in names},
        ITEMS: [items[row] for row in sorted(items)],
    }


def _steps(run: Run, config: DictConfig) -> tuple[int, int | None]:
    """The optimiser steps that were taken, of all members together, and those of an epoch."""
    ensemble = isinstance(run, EnsembleRun)
    batches = run.trainer.num_training_batches
    if ensemble:
        batches = len(run.datamodule.train_dataloader())
    # A forest takes no steps, and Lightning knows of no batches then.
    if not batches or not math.isfinite(batches):
        return 0, None
    per_epoch = -(-batches // config.trainer.accumulate_grad_batches)
    steps = run.epochs * per_epoch if ensemble else run.history.epochs[-1]["step"]
    return steps, per_epoch if steps else None


def _left_by(attempt: Path) -> Path | None:
    """What a later attempt can go on from: the folder of an ensemble, or the last checkpoint."""
    if (attempt / "members").is_dir():
        return attempt
    last = attempt / "checkpoints" / "last.ckpt"
    return last if last.is_file() else None


def best_row(epochs: list[dict[str, float]], metric: str, better: str) -> dict[str, float]:
    """The validation of the checkpoint that was kept: the first of the best ones.

    Raises:
        ValueError: If no validation gave a number.
    """
    name = f"val/{metric}"
    rows = [row for row in epochs if math.isfinite(row.get(name, math.nan))]
    if not rows:
        known = sorted({key for row in epochs for key in row if key.startswith("val/")})
        raise ValueError(f"no validation gave a finite {name}; there were {', '.join(known)}")
    return (min if better == "lower" else max)(rows, key=lambda row: row[name])


def _number(attempt: Path) -> int:
    return int(attempt.name.rpartition("_")[2])


def _of_split(metrics: dict[str, float], split: str) -> dict[str, float]:
    """Metrics of one split without its name; those of single targets are left out."""
    own = {key.partition("/")[2]: value for key, value in metrics.items() if key.startswith(split)}
    return {key: float(value) for key, value in own.items() if "/" not in key}


def _without_places(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_places(item) for key, item in value.items() if key not in PLACES}
    if isinstance(value, list):
        return [_without_places(item) for item in value]
    return value
