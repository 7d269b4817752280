"""Small runs on real peptides, composed as the command line composes them."""

import csv
import multiprocessing
import os
import signal
import sys
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace

from hydra import compose, initialize_config_module
from omegaconf import DictConfig

from gia.data import Peptides

# Every checkpoint that a run writes is kept, to resume from each.
EVERY_CHECKPOINT = [
    "callbacks.last.filename='epoch{epoch}'",
    "+callbacks.last.auto_insert_metric_name=false",
    "+callbacks.last.save_top_k=-1",
    "callbacks.last_steps.filename='step{step}'",
    "+callbacks.last_steps.auto_insert_metric_name=false",
    "+callbacks.last_steps.save_top_k=-1",
    "callbacks.last_steps.every_n_train_steps=1",
]
SMALL = [
    "model.width=16",
    "model.heads=2",
    "model.depth=2",
    "mlp=swiglu",
    "mlp.hidden=24",
    "callbacks.progress_bar=null",
    "logger.tensorboard=null",
    "name=test",
]


def peptides_fasta(folder: Path, number: int = 240) -> Path:
    """A FASTA file of some of the peptides."""
    path = folder / "peptides.fasta"
    records = Peptides().records()[:: 5200 // number]
    path.write_text("".join(f">{record.name}\n{record.sequence}\n" for record in records))
    return path


def compose_config(*overrides: str, name: str = "train") -> DictConfig:
    with initialize_config_module("gia.conf", version_base="1.3"):
        return compose(name, overrides=list(overrides))


def small_run(folder: Path, fasta: Path, *overrides: str) -> DictConfig:
    """The configuration of a run that takes seconds."""
    settings = [f"data.path={fasta}", "data.tokens_per_batch=512", f"run_dir={folder}"]
    return compose_config(*SMALL, "data=fasta", *settings, *overrides)


def in_fresh_process(*arguments: str, cwd: Path, **environment: str) -> SimpleNamespace:
    """Run ``gia`` as a command of its own, without waiting for its imports each time.

    Returns:
        ``returncode``, ``stdout`` and ``stderr``, as :func:`subprocess.run` has them.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["gia.cli", "gia.training", "gia.analysis"])
    outputs = [cwd / ".stdout", cwd / ".stderr"]
    process = context.Process(target=_command, args=(arguments, cwd, environment, outputs))
    process.start()
    process.join()
    texts = [output.read_text() for output in outputs]
    for output in outputs:
        output.unlink()
    return SimpleNamespace(returncode=process.exitcode, stdout=texts[0], stderr=texts[1])


def gia(*arguments: object, cwd: Path, check: bool = True, **environment: str) -> SimpleNamespace:
    """:func:`in_fresh_process` with a cache of its own; by default it must succeed."""
    environment = {"GIA_CACHE": str(cwd / "cache"), **environment}
    done = in_fresh_process(*map(str, arguments), cwd=cwd, **environment)
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


def write_table(path: Path, columns: Iterable[object], rows: Iterable[Iterable[object]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([columns, *rows])


def read_table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _command(
    arguments: tuple[str, ...], cwd: Path, environment: dict[str, str], outputs: list[Path]
) -> None:
    # Tests that a shell runs in the background pass on that they ignore it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(cwd)
    os.environ.update(environment)
    for number, output in enumerate(outputs, start=1):
        os.dup2(os.open(output, os.O_WRONLY | os.O_CREAT), number)
    from gia.cli import console, main

    console.file = sys.stdout
    sys.argv = ["gia", *arguments]
    try:
        main()
    finally:
        _end_workers()


def _end_workers() -> None:
    """Those of joblib go after five idle minutes, or with the main process, which this is not."""
    loky = sys.modules.get("joblib.externals.loky.reusable_executor")
    if loky is not None and loky._executor is not None:
        loky._executor.shutdown(wait=True, kill_workers=True)
