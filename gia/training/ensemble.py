"""The story of an ensemble: members of several seeds or folds, and one checkpoint of them all."""

import json
import shutil
from pathlib import Path

import pytorch_lightning as pl
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf, open_dict

from gia.data.files import write_atomically
from gia.tasks.prediction import Prediction
from gia.training.blend import BLEND
from gia.training.callbacks import Throughput
from gia.training.checkpoint import read_checkpoint
from gia.training.fitted import FittedRun
from gia.training.joined import check_alike, join
from gia.training.load import load_trained
from gia.training.processes import check_alone
from gia.training.quiet import SILENT
from gia.training.run import Interrupted, Run, trusted_by
from gia.training.trained_data import trained_data

DONE = "test.json"  # in a member's folder, written last
BY = ("seeds", "folds")
OF_FOLDS = ("inner_fold", "inner_folds")  # of the data of a member by folds


class EnsembleRun(Run):
    """A run of several members, each a :class:`Run` in ``members/K`` with the seed ``seed + K``.

    By folds, member K validates on the K-th part of the training part and learns from the others:
    all of them together have seen all of it, and none the validation part, which is then for the
    calibration alone.

    What is tested and reported is the ensemble, ``checkpoints/best.ckpt``. With ``ckpt_path`` the
    folder of such a run it goes on: finished members are taken over, an interrupted one goes on
    from its last checkpoint.
    """

    cfg: DictConfig

    @classmethod
    def from_config(cls, cfg: DictConfig) -> "EnsembleRun":
        """Build the first member that is to be trained, with all checks of a run.

        Args:
            cfg (DictConfig): The configuration, as ``conf/train.yaml`` composes it; ``ensemble``
                is the number of members, ``ensemble_by`` in what they differ.

        Raises:
            ValueError, OSError: If a setting, the data or the earlier run cannot be used.
        """
        _check(cfg)
        folder = Path(cfg.run_dir)
        before = None if cfg.ckpt_path is None else Path(cfg.ckpt_path)
        if before is not None:
            _take_over(before, folder, cfg)
        open_members = [k for k in range(cfg.ensemble) if not (_member(folder, k) / DONE).exists()]
        first = _run_of(_of_member(cfg, open_members[0])) if open_members else None
        if first is None:
            task, trained = load_trained(_weights(folder, 0), trust=trusted_by(cfg))
            datamodule = trained_data(trained)
        else:
            task, datamodule = first.task, first.datamodule
        if first is not None:
            check_alone(first.trainer, "ensemble= trains its members one after the other,")
        if not isinstance(task, Prediction) or isinstance(first, FittedRun):
            raise ValueError("ensemble= is of models that predict targets and are trained by steps")
        settings = task.hparams["settings"]
        split = {key: value for key, value in settings["data"].items() if key not in OF_FOLDS}
        if cfg.ensemble_by == "folds":  # the members' own parts are others
            datamodule = instantiate(split)
            datamodule.setup()
        split = {"data": split, "split_fingerprint": datamodule.fingerprint()}
        _check_split(before, split["split_fingerprint"])
        for k in set(range(cfg.ensemble)) - set(open_members):
            finished = read_checkpoint(_weights(folder, k))["hyper_parameters"]["settings"]
            check_alike(settings, finished, _weights(folder, k))
        own = {name: cfg[name] for name in ("seed", "ensemble", "ensemble_by")}
        own |= {"run_dir": str(folder)} | split
        OmegaConf.save(OmegaConf.create({**settings, **own}), folder / "config.yaml")
        datamodule.write_splits(folder / "splits.csv")
        said = f"ensemble of {cfg.ensemble} by {cfg.ensemble_by}: {len(open_members)} to train"
        notes = [said, *([] if first is None else first.notes)]
        run = cls(folder, datamodule, task, _trainer(cfg), cfg.ckpt_path, notes)
        run.cfg, run._first, run._epochs, run._split = cfg, first, 0, split
        return run

    def train(self) -> None:
        """Train the members that are not finished, each with a test of its own, and join all."""
        for k in range(self.cfg.ensemble):
            if not (_member(self.folder, k) / DONE).exists():
                self._fit_member(k)
        done = [
            json.loads((_member(self.folder, k) / DONE).read_text())
            for k in range(self.cfg.ensemble)
        ]
        self.members = [member["test"] for member in done]
        self._epochs = sum(member["epochs"] for member in done)
        self.throughput.seconds = sum(member["seconds"] for member in done)
        speeds = [member["tokens_per_second"] for member in done]
        self.throughput.tokens_per_second = sum(speeds) / len(speeds)
        files = [_weights(self.folder, k) for k in range(self.cfg.ensemble)]
        join(files, self.tested_file, **self._split)
        self.task, _ = load_trained(self.tested_file, trust=trusted_by(self.cfg))

    @property
    def tested_file(self) -> Path:
        """Of all members joined."""
        return self.folder / "checkpoints" / "best.ckpt"

    def _fit_member(self, k: int) -> None:
        run, self._first = self._first or _run_of(_of_member(self.cfg, k)), None
        try:
            metrics = run.fit()
        except Interrupted as stop:
            raise Interrupted(self.folder) from stop
        test = {name.removeprefix("test/"): value for name, value in metrics.items()}
        done = {
            "test": test,
            "epochs": run.epochs,
            "seconds": run.throughput.seconds,
            "tokens_per_second": run.throughput.tokens_per_second,
        }
        with write_atomically(run.folder / DONE) as file:
            json.dump(done, file)

    @property
    def epochs(self) -> int:
        """Of all members together."""
        return self._epochs


def run_of(cfg: DictConfig) -> Run:
    """The run that a configuration asks for: of one model, or of an ensemble.

    Raises:
        ValueError, OSError: If a setting, the data or the earlier run cannot be used.
    """
    if cfg.ensemble is not None:
        return EnsembleRun.from_config(cfg)
    _check_by(cfg)
    return instantiate(cfg.runner)(cfg)


def _check_by(cfg: DictConfig) -> None:
    if cfg.ensemble_by not in BY:
        raise ValueError(f"ensemble_by must be one of {', '.join(BY)}, got {cfg.ensemble_by!r}")
    if cfg.ensemble_by == "folds" and cfg.ensemble is None:
        raise ValueError("ensemble_by=folds needs the number of members: give ensemble=5, too")


def _check(cfg: DictConfig) -> None:
    _check_by(cfg)
    if isinstance(cfg.ensemble, bool) or not isinstance(cfg.ensemble, int) or cfg.ensemble < 2:
        raise ValueError(f"ensemble must be 2 or more members, or null, got {cfg.ensemble!r}")
    if (Path(cfg.run_dir) / "config.yaml").exists():
        raise ValueError(f"run_dir {cfg.run_dir} already holds a run: choose another")
    if not cfg.trainer.enable_checkpointing or cfg.trainer.fast_dev_run:
        raise ValueError("ensemble= keeps its members in checkpoints: leave these on")


def _take_over(before: Path, folder: Path, cfg: DictConfig) -> None:
    """Copy the finished members of an earlier run.

    Raises:
        FileNotFoundError, ValueError: If there are none, or their parts of the data are others.
    """
    if not (before / "members").is_dir():
        raise FileNotFoundError(
            f"ckpt_path={before} is no folder of an ensemble: give the run_dir of a run with "
            "ensemble=, which has a folder members"
        )
    made = OmegaConf.load(before / "config.yaml")
    by = {"ensemble_by": made.get("ensemble_by", BY[0])}
    if "folds" in (by["ensemble_by"], cfg.ensemble_by):
        by["ensemble"] = made.ensemble  # as many folds as members
    for name, value in by.items():
        if cfg[name] != value:
            raise ValueError(
                f"ckpt_path={before} is an ensemble with {name}={value}, whose members have "
                f"learned from other data: give that in place of {name}={cfg[name]}"
            )
    for k in range(cfg.ensemble):
        if (_member(before, k) / DONE).exists():
            shutil.copytree(_member(before, k), _member(folder, k))


def _check_split(before: Path | None, fingerprint: str) -> None:
    """See that an earlier run, which goes on, had the same split."""
    made = {} if before is None else OmegaConf.load(before / "config.yaml")
    if made.get("split_fingerprint", fingerprint) != fingerprint:
        raise ValueError(
            f"{before} was trained on another split of the data: give the data and data.split "
            "settings it was trained with (its config.yaml has them)"
        )


def _of_member(cfg: DictConfig, k: int) -> DictConfig:
    """The configuration of one member."""
    folder, member = _member(Path(cfg.run_dir), k), cfg.copy()
    with open_dict(member):
        if "split_seed" in cfg.data:
            member.data.split_seed = cfg.data.split_seed  # though it may refer to the seed
        member.run_dir, member.seed = str(folder), cfg.seed + k
        member.ensemble = member.ckpt_path = None
        if cfg.ensemble_by == "folds":
            for name, value in zip(OF_FOLDS, (k, cfg.ensemble), strict=True):
                member.data[name] = value
        if cfg.ckpt_path is not None:
            last = _member(Path(cfg.ckpt_path), k) / "checkpoints" / "last.ckpt"
            if last.is_file():
                member.ckpt_path, member.init_from = str(last), None
            elif cfg.init_from is None:  # a resumed run is not given it again
                member.init_from = OmegaConf.load(Path(cfg.ckpt_path) / "config.yaml").init_from
    return member


def _run_of(cfg: DictConfig) -> Run:
    return instantiate(cfg.runner)(cfg)


def _member(folder: Path, k: int) -> Path:
    return folder / "members" / str(k)


def _weights(folder: Path, k: int) -> Path:
    """A finished member's blend, or else best checkpoint; its last where no best one is known."""
    checkpoints = _member(folder, k) / "checkpoints"
    files = (checkpoints / name for name in (BLEND, "best.ckpt"))
    return next((file for file in files if file.is_file()), checkpoints / "last.ckpt")


def _trainer(cfg: DictConfig) -> pl.Trainer:
    """What tests the ensemble, as the members were tested."""
    limits = ("limit_val_batches", "limit_test_batches")
    same = ("accelerator", "devices", "precision", "default_root_dir", *limits)
    chosen = {key: cfg.trainer[key] for key in same}
    return pl.Trainer(**chosen, **SILENT, callbacks=[Throughput()])
