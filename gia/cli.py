"""The console: ``gia train``, ``evaluate``, ``predict``, ``generate``, ``duel``."""

import contextlib
import functools
import math
import os
import sys
from collections.abc import Callable
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from lightning_fabric.utilities.exceptions import MisconfigurationException
from omegaconf import DictConfig, OmegaConf, open_dict
from rich.console import Console

HELP = """\
gia: graph-aware transformers

  gia train       train a model                    gia train experiment=protein_fold
  gia evaluate    measure a trained one            gia evaluate ckpt_path=runs/.../best.ckpt
  gia predict     predict a table with it          gia predict ckpt_path=... data.path=new.csv
  gia generate    write sequences with it          gia generate ckpt_path=runs/.../best.ckpt
  gia duel        compare models fairly            gia duel plan=graphs

Settings are given as key=value; gia COMMAND --help lists them all.
"""

# What a wrong setting, file or environment raises; anything else is a fault of gia's own.
USER_ERRORS = (ValueError, OSError, ImportError, MisconfigurationException)

console = Console()


def main() -> None:
    """Entry point of the command ``gia``."""
    commands = {
        "train": train,
        "evaluate": evaluate,
        "predict": predict,
        "generate": generate,
        "duel": duel,
    }
    name = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if name in ("-h", "--help", "help"):
        print(HELP)
        return
    if name not in commands:
        sys.exit(f"gia: no command {name!r}\n\n{HELP}")
    sys.argv = [f"gia {name}", *sys.argv[2:]]
    commands[name]()


def command(body: Callable[[DictConfig], None]) -> Callable[[DictConfig], None]:
    """What a user can cause ends with one clear message; a fault of gia's own with a traceback."""

    @functools.wraps(body)
    def wrapped(cfg: DictConfig) -> None:
        from gia.training import Interrupted
        from gia.training.quiet import quiet

        quiet()
        try:
            missing = _missing(OmegaConf.to_container(cfg, resolve=False))
            if missing:
                raise ValueError("; ".join(f"{key} is missing: give {key}=..." for key in missing))
            body(cfg)
        except Interrupted as stop:
            if stop.checkpoint is None:
                _fail("interrupted before the first checkpoint: nothing to resume from", 130)
            _fail(
                f"interrupted; resume with the same settings and ckpt_path={stop.checkpoint}", 130
            )
        except KeyboardInterrupt:
            _fail("interrupted", 130)
        except InstantiationException as error:
            if not isinstance(error.__cause__, USER_ERRORS) or "HYDRA_FULL_ERROR" in os.environ:
                raise
            _fail(str(error.__cause__))
        except USER_ERRORS as error:
            if "HYDRA_FULL_ERROR" in os.environ:
                raise
            _fail(str(error))

    return wrapped


@hydra.main(version_base="1.3", config_path="pkg://gia.conf", config_name="train")
@command
def train(cfg: DictConfig) -> None:
    """Train, test, and leave a folder worth opening."""
    from gia.analysis import describe_data
    from gia.nn import count_parameters

    with open_dict(cfg):  # where Hydra put this job, alone or in a multirun
        cfg.run_dir = os.path.relpath(HydraConfig.get().runtime.output_dir)
    run = instantiate(cfg.runner)(cfg)
    describe_data(run.datamodule.summary(), console)
    console.print(
        f"  model: {count_parameters(run.task.model):,} parameters; run folder {run.folder}",
        highlight=False,
    )
    for note in run.notes:
        console.print(f"  {note}", highlight=False, markup=False, soft_wrap=True)
    metrics = run.fit()
    run.task.report(run, metrics, console)
    console.print(f"everything is in {run.folder}", style="bold", highlight=False, soft_wrap=True)


@hydra.main(version_base="1.3", config_path="pkg://gia.conf", config_name="evaluate")
@command
def evaluate(cfg: DictConfig) -> None:
    """Measure a trained model on one part of its data, or of other data."""
    import pytorch_lightning as pl
    from rich.table import Table

    from gia.analysis import describe_data
    from gia.training import load_trained, trained_data

    if cfg.part not in ("train", "val", "test", "all"):
        raise ValueError(f"part must be train, val, test or all, got {cfg.part!r}")
    task, trained = load_trained(cfg.ckpt_path, trust=cfg.trust)
    data = trained_data(trained, cfg.data, whole=cfg.part == "all")
    describe_data(data.summary(), console)
    trainer = pl.Trainer(logger=False, enable_checkpointing=False, enable_progress_bar=False)
    part = "test" if cfg.part == "all" else cfg.part
    (metrics,) = trainer.test(task, data.loader(part), verbose=False)
    if math.isnan(metrics["test/loss"]):
        raise ValueError("no target is known here: name the column with data.target_column=...")
    console.print(f"  {cfg.ckpt_path}", highlight=False, soft_wrap=True)
    table = Table(title=cfg.part.capitalize(), title_justify="left")
    table.add_column("metric")
    table.add_column("value", justify="right")
    for name, value in metrics.items():
        table.add_row(name.removeprefix("test/"), f"{value:.4f}")
    console.print(table)


@hydra.main(version_base="1.3", config_path="pkg://gia.conf", config_name="predict")
@command
def predict(cfg: DictConfig) -> None:
    """Predict the rows of a table, or one part of the data that a model was trained with."""
    from pathlib import Path

    import torch

    from gia.analysis import check_out
    from gia.training import load_trained, trained_data

    if cfg.ckpt_path is None:
        raise ValueError("ckpt_path is missing: give ckpt_path=...")
    path, part = cfg.data.path, cfg.part or "test"
    if path is not None and cfg.part is not None:
        raise ValueError("part= is of the data of the training: leave it out, or data.path")
    if part not in ("train", "val", "test"):
        raise ValueError(f"part must be train, val or test, got {part!r}")
    task, trained = load_trained(cfg.ckpt_path, trust=cfg.trust)
    task.check_predicts()
    # Suffixes as in molecules.csv.gz are no part of the name.
    name = part if path is None else Path(path).name.removesuffix(".gz").rsplit(".", 1)[0]
    out = check_out(cfg.out or f"{name}_predicted.csv", path or trained.data.get("path"))
    task.to("cuda" if torch.cuda.is_available() else "cpu")
    data = trained_data(trained, cfg.data)
    done = task.predict_part(data, part, out) if path is None else task.predict_table(data, out)
    console.print(f"  {done['predicted']:,} predictions in {out}", highlight=False, soft_wrap=True)
    if done["problems"]:
        console.print(
            f"  {done['problems']:,} rows without one: the column problem says why", highlight=False
        )


@hydra.main(version_base="1.3", config_path="pkg://gia.conf", config_name="generate")
@command
def generate(cfg: DictConfig) -> None:
    """Write new sequences."""
    from gia.data.files import write_atomically
    from gia.training import load_trained

    task, _ = load_trained(cfg.ckpt_path, trust=cfg.trust)
    settings = ("num_samples", "max_new_tokens", "temperature", "top_k", "top_p", "seed")
    sequences = task.generate(cfg.prompt, **{name: cfg[name] for name in settings})
    text = "\n".join(
        line
        for number, sequence in enumerate(sequences, start=1)
        for line in (f">sample_{number}", sequence)
    )
    if cfg.out is None:
        print(text)
    else:
        with write_atomically(cfg.out) as file:
            file.write(text + "\n")
        console.print(f"{cfg.num_samples} sequences in {cfg.out}", highlight=False)


def duel() -> None:
    """Compare models on equal terms."""
    from gia_duel import command

    command.duel()


def _missing(cfg: Any, prefix: str = "") -> list[str]:
    """Keys whose value only the user can give."""
    if isinstance(cfg, dict):
        return [key for name in cfg for key in _missing(cfg[name], f"{prefix}{name}.")]
    return [prefix.removesuffix(".")] if cfg == "???" else []


def _fail(message: str, status: int = 1) -> None:
    with contextlib.suppress(OSError):  # the run's folder, if nothing is in it yet
        os.removedirs(HydraConfig.get().runtime.output_dir)
    Console(stderr=True).print(f"gia: {message}", highlight=False, markup=False, soft_wrap=True)
    sys.exit(status)


if __name__ == "__main__":
    main()
