"""``gia search``: from a command line to a search and what it has come to."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.utils import instantiate
from omegaconf import DictConfig, open_dict

from gia.cli.argument_files import with_files
from gia.cli.command import command, fail
from gia.cli.commands import console
from gia.cli.errors import HYDRAS, of_composition
from gia.cli.search_arguments import Arguments
from gia.cli.search_training import Training, told_as_train_tells
from gia.cli.texts import for_shell


def search() -> None:
    """Search for better settings of a training, by the validation part alone."""
    program, *typed = sys.argv
    try:
        arguments = with_files(typed)
        parts = Arguments.of(arguments)
        resumed = parts.given("resume")
        if resumed is not None:
            arguments = _joined(Path(resumed), arguments, parts)
            parts = Arguments.of(arguments)
    except (*HYDRAS, ImportError) as error:
        fail(of_composition(error, typed, "search"))

    @command("search")
    def body(cfg: DictConfig) -> None:
        _search(cfg, parts, arguments)

    sys.argv = [program, *parts.own]
    body()


def _search(cfg: DictConfig, parts: Arguments, arguments: Sequence[str]) -> None:
    library = _library()
    for key in ("trials", "jobs"):
        if type(cfg[key]) is not int or cfg[key] < 1:
            raise ValueError(f"{key} must be a whole number from 1 on, got {cfg[key]!r}")
    stored = library.Stored.read(Path(cfg.resume)) if cfg.resume else None
    with told_as_train_tells(parts):
        training = Training(parts)
        space = library.Space(training.sweeps(cfg.space) if stored is None else stored.space)
        training.check(space)
        folder = Path(cfg.resume) if cfg.resume else _new_folder(cfg, training)
        monitor = training.monitor()
        split = training.read_data(console)
    if stored is None:
        folder.mkdir(parents=True, exist_ok=True)
        library.Stored([*arguments], space.sweeps, *monitor, split).write(folder)
    elif stored.split != split:
        raise ValueError(
            f"resume={folder}: the data is not what it was, or is split otherwise, so that trials "
            "cannot be compared: give the data of then, or start a new search"
        )
    found = library.Search(
        folder,
        space,
        settings=[*parts.flags, *parts.training],
        configure=training.configure,
        default=training.values(space),
        sampler=instantiate(cfg.sampler),
        pruner=instantiate(cfg.pruner),
        seed=training.cfg.seed,
        say=_say,
    )
    _say(f"  {cfg.trials} trials in {folder}, of {', '.join(space.sweeps)}")
    try:
        found.run(cfg.trials, cfg.jobs)
    except KeyboardInterrupt:
        going_on = f"gia search {for_shell('resume', str(folder))}"
        fail(f"interrupted; this goes on from there:\n{going_on}", 130)
    _report(found.results)


def _library() -> Any:
    """The package of the search, with Optuna.

    Raises:
        ImportError: If it is not installed.
    """
    try:
        import gia.search
    except ModuleNotFoundError as error:
        if error.name != "optuna":
            raise
        raise ImportError(
            "gia search takes Optuna, which is not installed: pip install gia[search]"
        ) from error
    return gia.search


def _joined(folder: Path, arguments: Sequence[str], parts: Arguments) -> list[str]:
    """The arguments that a search began with, and those that are given to go on with it.

    Raises:
        OSError, ValueError: If there is no such search, or another one is asked for.
    """
    began = _library().Stored.read(folder).arguments
    space = [argument for argument in parts.own if argument.startswith("space")]
    for argument in [*parts.training, *parts.sweeps.values(), *parts.flags, *space]:
        if argument not in began:
            raise ValueError(
                f"resume={folder} was begun without {argument}: what is trained and varied stays "
                "as it was; leave it out, or start a new search"
            )
    return list(dict.fromkeys([*began, *arguments]))


def _new_folder(cfg: DictConfig, training: Training) -> Path:
    with open_dict(cfg):
        cfg.name = cfg.name or training.choices["data"]
    folder = Path(cfg.run_dir)
    if (folder / "search.yaml").exists():
        going_on = for_shell("resume", str(folder))
        raise ValueError(f"run_dir {folder} already holds a search: {going_on} goes on with it")
    return folder


def _report(results: Any) -> None:
    """Say what has come of it, and leave pictures.

    Raises:
        ValueError: If no trial has a value.
    """
    results.write()
    _say(f"  {results.counts()}")
    if not results.ranked:
        first = next((trial.user_attrs["reason"] for trial in results.failed), "all were pruned")
        raise ValueError(f"no trial has come to its end, see {results.folder}/trials.csv: {first}")
    results.draw()
    console.print(results.table())
    for line in results.verdict():
        _say(f"  {line}")
    console.print(f"everything is in {results.folder}", style="bold", soft_wrap=True)


def _say(line: str) -> None:
    console.print(line, soft_wrap=True)
