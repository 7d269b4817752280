"""The story of a run: data, model, trainer; fit; test."""

import math
import os
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.callbacks import (
    Checkpoint,
    ProgressBar,
    StochasticWeightAveraging,
    WeightAveraging,
)

from gia.data import DataModule
from gia.tasks.task import Task
from gia.training.blend import BLEND, Blend
from gia.training.build import resolve_model, with_inputs
from gia.training.calibration import keep, learn
from gia.training.callbacks import BestCheckpoint, History, Throughput
from gia.training.checkpoint import (
    AtomicCheckpointIO,
    check_architecture,
    load_checkpoint,
    read_checkpoint,
)
from gia.training.explosion import explosion_of
from gia.training.init_from import Start, check_start, resume, take
from gia.training.processes import is_first_process, part_ways, processes
from gia.training.trusted import as_modules, targets_of

# Switches of Lightning's Trainer, and the callbacks that it would refuse beside them.
SWITCHES = {"enable_checkpointing": Checkpoint, "enable_progress_bar": ProgressBar}


class Interrupted(Exception):
    """Training was stopped by the user; ``checkpoint`` is where it can go on, if there is one."""

    def __init__(self, checkpoint: Path | None):
        super().__init__("interrupted")
        self.checkpoint = checkpoint


@dataclass
class Run:
    """A run's parts, and after :meth:`fit` its results.

    Attributes:
        folder (Path): Where everything that the run leaves behind goes.
        datamodule, task, trainer: Lightning's three.
        ckpt_path (str, optional): The checkpoint that it resumes from.
        notes (list of str): What to say of its start at the console.
        tested_step (int, optional): The step after which the model that was tested had its weights.
        members (list of dict): The test metrics of each member of an ensemble.
        blend (Blend, optional): What is fitted beside the model, and tested with it.
    """

    folder: Path
    datamodule: DataModule
    task: Task
    trainer: pl.Trainer
    ckpt_path: str | None = None
    notes: list[str] = field(default_factory=list)
    tested_step: int | None = None
    members: list[dict[str, float]] = field(default_factory=list)
    blend: Blend | None = None

    @classmethod
    def from_config(cls, cfg: DictConfig) -> "Run":
        """Build all parts, with every check that can be made before the training starts.

        Args:
            cfg (DictConfig): The configuration, as ``conf/train.yaml`` composes it.

        Raises:
            ValueError, OSError: If a setting, the data or the checkpoint cannot be used.
        """
        pl.seed_everything(cfg.seed, workers=True, verbose=False)
        # Before the data is read, so that a wrong path is told at once.
        folder, first = Path(cfg.run_dir), is_first_process()
        if first and (folder / "config.yaml").exists():
            raise ValueError(f"run_dir {folder} already holds a run: choose another")
        check_start(cfg)
        source = _source(cfg)
        datamodule = instantiate(cfg.data)
        datamodule.setup()
        inputs = datamodule.inputs()
        model_cfg = resolve_model(cfg, inputs)
        cfg = with_inputs(cfg, inputs)
        if cfg.get("steps"):
            # Not as the trainer's max_steps, with which Lightning resumes one epoch too late after
            # the end of an epoch.
            batches = math.ceil(len(datamodule.train_dataloader()) / processes(cfg))
            cfg.trainer.max_epochs = _whole_epochs(cfg, batches)
        config = OmegaConf.to_container(cfg, resolve=True)
        config |= {"model": model_cfg, "split_fingerprint": datamodule.fingerprint()}
        task, notes = _task(cfg, config, source)
        blend = Blend.from_config(config, task)
        trainer = instantiate(
            cfg.trainer,
            callbacks=_callbacks(cfg),
            logger=_all(cfg.get("logger")),
            plugins=[AtomicCheckpointIO()],
        )
        if trainer.world_size > 1 and cfg.trainer.get("use_distributed_sampler"):
            raise ValueError(
                "trainer.use_distributed_sampler=true: batches are shared out among the processes "
                "as it is; leave it false"
            )
        folder.mkdir(parents=True, exist_ok=True)
        if first:
            OmegaConf.save(OmegaConf.create(config), folder / "config.yaml")
            datamodule.write_splits(folder / "splits.csv")
        notes += _notes(cfg)
        return cls(folder, datamodule, task, trainer, cfg.ckpt_path, notes, blend=blend)

    def train(self) -> None:
        """Train, and take the weights of the best validation; the test part stays unseen.

        Raises:
            Interrupted: If the user stops it.
        """
        try:
            self.trainer.fit(
                self.task, self.datamodule, ckpt_path=self.ckpt_path, weights_only=True
            )
        except SystemExit as stop:  # Lightning's answer to Ctrl-C
            last = self.folder / "checkpoints" / "last.ckpt"
            raise Interrupted(last if last.is_file() else None) from stop
        self.tested_step = self.trainer.global_step
        keeper = self._callback(BestCheckpoint)
        self._check_finite(keeper)
        if any(isinstance(made, StochasticWeightAveraging) for made in self.trainer.callbacks):
            self._offer_average(keeper)
        best = keeper.best_model_path
        if os.path.isfile(best):  # there is none if the run was done before it began
            # Not through Trainer.test, which would set the callbacks' history back as well.
            checkpoint = read_checkpoint(best)
            self.task.load_state_dict(checkpoint["state_dict"])
            self.tested_step = checkpoint["global_step"]

    def fit(self) -> dict[str, float]:
        """As :meth:`train`, then calibrate on the validation part, and test. Of several processes
        the first one alone has anything to do after it.

        Returns:
            The test metrics.
        """
        if self.blend is not None:
            self.blend.fit(self.task, self.datamodule)
        self.train()
        tested = self.tested_file
        if self.blend is not None:
            # In a file of its own: from the network's checkpoints its training may go on.
            out = None if tested is None else self.folder / "checkpoints" / BLEND
            path = tested if self.trainer.is_global_zero else None
            self.blend.join(self.task, self.datamodule, path, out)
            tested = out
        learn(self.task, self.datamodule, self.trainer)
        if tested is not None and self.trainer.is_global_zero:
            keep(self.task, tested)
        metrics = self.trainer.test(self.task, self.datamodule, verbose=False)
        part_ways(self.trainer)
        if not metrics:
            raise ValueError("trainer.limit_test_batches=0 leaves nothing to test")
        return metrics[0]

    @property
    def tested_file(self) -> Path | None:
        """The checkpoint of the weights that training ends with: the best, or else the last one."""
        best = self._callback(BestCheckpoint).best_model_path
        if os.path.isfile(best):
            return Path(best)
        last = self.folder / "checkpoints" / "last.ckpt"
        same = last.is_file() and read_checkpoint(last)["global_step"] == self.tested_step
        return last if same else None

    def _check_finite(self, keeper: BestCheckpoint) -> None:
        """Say that the loss exploded, or became NaN or infinite, which ends a run."""
        lost = next(
            (row for row in self.history.epochs if not math.isfinite(row.get("val/loss", 0.0))),
            None,
        )
        if lost is None:
            explosion = explosion_of(self.history.epochs)
            if explosion is not None:
                warnings.warn(explosion, stacklevel=1)
            return
        said = (
            f"val/loss is {lost['val/loss']} in epoch {lost['epoch']}: give a lower optimizer.lr "
            "or trainer.gradient_clip_val, and look for extreme numbers in the data"
        )
        best = keeper.best_model_score
        if best is None or not math.isfinite(best):
            raise ValueError(said)
        warnings.warn(f"{said}; the best model of before is tested", stacklevel=1)

    def _offer_average(self, keeper: BestCheckpoint) -> None:
        """Let averaged weights, which are there after the last validation, be the best as well."""
        if not self.trainer.enable_validation or not keeper.best_model_path:
            return
        self.trainer.validate(self.task, self.datamodule, verbose=False)
        score = self.trainer.callback_metrics[keeper.monitor]
        if keeper.is_better(score, keeper.best_model_score):
            keeper.best_model_score = score
            self.trainer.save_checkpoint(keeper.best_model_path)

    @property
    def epochs(self) -> int:
        """Epochs of training; what is fitted at once has one."""
        # Not the validations: an epoch may have several, or none.
        return 1 if self.tested_step is None else self.trainer.current_epoch

    @property
    def history(self) -> History:
        """The metrics of each epoch; empty if the run has no such callback."""
        return self._callback(History)

    @property
    def throughput(self) -> Throughput:
        """How fast it trained; zero if the run has no such callback."""
        return self._callback(Throughput)

    def _callback(self, kind: type[pl.Callback]) -> Any:
        mine = [callback for callback in self.trainer.callbacks if isinstance(callback, kind)]
        return mine[0] if mine else kind()


def trusted_by(cfg: DictConfig) -> list[str]:
    """What a run trusts in another's checkpoint: what it names itself, and what the user says."""
    settings = OmegaConf.to_container(cfg, resolve=False)
    return [*as_modules(cfg.get("trust")), *targets_of(settings)]


def _task(
    cfg: DictConfig, config: dict[str, Any], source: dict[str, Any] | None
) -> tuple[Task, list[str]]:
    """The task with its model, and what to say of where the model starts from."""
    model, notes = instantiate(config["model"]), []
    start: Start | None = None
    if cfg.ckpt_path:
        check_architecture(model, source, cfg.ckpt_path)
        _check_split(config, source, cfg.ckpt_path)
        start = resume(cfg, source)
    elif source is not None:
        start, notes = take(model, source, cfg, config)
    if start is not None:
        config |= start.settings()
    task = instantiate(cfg.task)(
        model=model,
        optimizer=instantiate(cfg.optimizer),
        scheduler=instantiate(cfg.scheduler),
        settings=config,
    )
    if str(cfg.trainer.precision).startswith("64"):
        task.double()  # as Lightning does, but before it reads a checkpoint's numbers
    if start is not None:
        task.start_from(start.taken, start.frozen, start.init_lr)
    if cfg.model.get("compile"):
        task.model.compile_blocks()
    return task, notes


def _source(cfg: DictConfig) -> dict[str, Any] | None:
    """The checkpoint that a run goes on from, or else the one that its model starts from."""
    for setting in ("ckpt_path", "init_from"):
        if cfg.get(setting):
            return load_checkpoint(cfg[setting], trust=trusted_by(cfg), setting=setting)
    return None


def _all(group: DictConfig | None) -> list[Any]:
    """Every member of a group of the configuration that is not switched off with null."""
    return [instantiate(member) for member in (group or {}).values() if member]


def _callbacks(cfg: DictConfig) -> list[pl.Callback]:
    """Without those that the trainer's own switches turn off.

    Raises:
        ValueError: If two of them average the weights.
    """
    off = [kind for switch, kind in SWITCHES.items() if cfg.trainer.get(switch) is False]
    made = [one for one in _all(cfg.get("callbacks")) if not isinstance(one, tuple(off))]
    averages = [
        one for one in made if isinstance(one, (WeightAveraging, StochasticWeightAveraging))
    ]
    if len(averages) > 1:
        raise ValueError(
            f"{' and '.join(type(one).__name__ for one in averages)} both average the weights: "
            "callbacks.average=null leaves the first out"
        )
    return made


def _notes(cfg: DictConfig) -> list[str]:
    """What to say where no best model can be known."""
    for setting, value in (("limit_val_batches", 0), ("enable_checkpointing", False)):
        if cfg.trainer.get(setting) == value:
            said = f"trainer.{setting}={str(value).lower()}"
            return [f"{said}: the last model is tested, not the best"]
    return []


def _whole_epochs(cfg: DictConfig, batches: int) -> int:
    steps_per_epoch = math.ceil(batches / cfg.trainer.accumulate_grad_batches)
    return math.ceil(cfg.steps / steps_per_epoch)


def _check_split(config: dict[str, Any], checkpoint: dict[str, Any], path: str) -> None:
    saved = checkpoint["hyper_parameters"]["settings"]["split_fingerprint"]
    if saved != config["split_fingerprint"]:
        raise ValueError(
            f"{path} was trained on another split of the data: give the data and data.split "
            "settings it was trained with (config.yaml beside it has them)"
        )
