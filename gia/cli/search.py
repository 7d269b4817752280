"""``gia search``: from a command line to a search and what it has come to."""

import contextlib
import difflib
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hydra import compose
from hydra.errors import HydraException, InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from gia.cli.argument_files import with_files
from gia.cli.command import command, fail, prepare
from gia.cli.commands import console
from gia.cli.errors import HYDRAS, of_composition, of_job, wants_traceback
from gia.cli.search_arguments import Arguments, own_keys
from gia.cli.texts import as_spelled, for_shell, nodes, settle


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
    search = _library()
    for key in ("trials", "jobs"):
        if type(cfg[key]) is not int or cfg[key] < 1:
            raise ValueError(f"{key} must be a whole number from 1 on, got {cfg[key]!r}")
    training, choices = _told(lambda: _training(parts, []), parts)
    prepare(training)
    if training.ckpt_path is not None:
        raise ValueError("ckpt_path resumes a single training: leave it out")
    stored = search.Stored.read(Path(cfg.resume)) if cfg.resume else None
    sweeps = _sweeps(cfg, parts, training, choices) if stored is None else stored.space
    space = search.Space(sweeps)
    _told(lambda: _check(space, parts, choices), parts)
    folder = Path(cfg.resume) if cfg.resume else _new_folder(cfg, choices)
    split = _told(lambda: _read_data(training), parts)
    if stored is None:
        folder.mkdir(parents=True, exist_ok=True)
        search.Stored([*arguments], sweeps, *_monitor(training), split).write(folder)
    elif stored.split != split:
        raise ValueError(
            f"resume={folder}: the data is not what it was, or is split otherwise, so that trials "
            "cannot be compared: give the data of then, or start a new search"
        )
    found = search.Search(
        folder,
        space,
        settings=[*parts.flags, *parts.training],
        configure=lambda settings: _configured(parts, settings),
        default=_default(space, training, choices),
        sampler=instantiate(cfg.sampler),
        pruner=instantiate(cfg.pruner),
        seed=training.seed,
        say=_say,
    )
    varied = ", ".join(sweeps)
    _say(f"  {cfg.trials} trials in {folder}, of {varied}")
    try:
        found.run(cfg.trials, cfg.jobs)
    except KeyboardInterrupt:
        going_on = f"gia search {for_shell('resume', folder)}"
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


def _training(parts: Arguments, settings: Sequence[str]) -> tuple[DictConfig, dict[str, Any]]:
    """The configuration of a training, and the option of each group that was chosen."""
    spelled = as_spelled([*parts.training, *settings])
    cfg = compose("train", overrides=spelled, return_hydra_config=True)
    choices = OmegaConf.to_container(cfg.hydra.runtime.choices)
    with open_dict(cfg):
        del cfg["hydra"]
        cfg.name = "trial"  # it would be made of the choices of this command
    return cfg, choices


def _configured(parts: Arguments, settings: Sequence[str]) -> DictConfig:
    cfg, _ = _training(parts, settings)
    settle(cfg)  # what there is to say of it has been said
    return cfg


def _told(work: Callable[[], Any], parts: Arguments) -> Any:
    """Do some work on the training, whose errors are told as ``gia train`` tells them."""
    try:
        return work()
    except Exception as error:
        kind = (HydraException, OmegaConfBaseException)
        if isinstance(error, kind) and not isinstance(error, InstantiationException):
            message = _meant(of_composition(error, parts.training, "train"))
        else:
            message = of_job(error, as_spelled(parts.training), "train")
        if message is None or wants_traceback():
            raise
        raise ValueError(message) from error


def _meant(message: str) -> str:
    """What to say of an unknown setting, where it is nearly one of the search's."""
    unknown = re.match(r"there is no setting ([^;]+)", message)
    close = difflib.get_close_matches(unknown[1], own_keys(), n=1, cutoff=0.75) if unknown else []
    return f"{unknown[0]}; did you mean {close[0]}?" if close else message


def _sweeps(
    cfg: DictConfig, parts: Arguments, training: DictConfig, choices: dict[str, Any]
) -> list[str]:
    """What is varied: the default, where the training has it and it is not given, and the user's.

    Raises:
        ValueError: If that is nothing.
    """
    known = {key for key, _ in nodes(training)} | choices.keys()
    default = {str(key): f"{key}={sweep}" for key, sweep in (cfg.space or {}).items()}
    fixed = parts.fixed()
    used = {key: text for key, text in default.items() if key in known and key not in fixed}
    sweeps = list((used | parts.sweeps).values())
    if not sweeps:
        raise ValueError(
            "there is nothing to vary: give a setting as in 'optimizer.lr=interval(1e-4,1e-2)'"
        )
    return sweeps


def _check(space: Any, parts: Arguments, choices: dict[str, Any]) -> None:
    """Compose with a value of each setting, and with each option of a group.

    Raises:
        HydraException: If there is no such setting or option.
    """
    first = {dimension.name: dimension.some() for dimension in space}
    _training(parts, space.settings(first))
    for dimension in space:
        if dimension.name in choices:
            for value in dimension.values()[1:]:
                _training(parts, [dimension.setting(value)])


def _new_folder(cfg: DictConfig, choices: dict[str, Any]) -> Path:
    with open_dict(cfg):
        cfg.name = cfg.name or choices["data"]
    folder = Path(cfg.run_dir)
    if (folder / "search.yaml").exists():
        going_on = for_shell("resume", folder)
        raise ValueError(f"run_dir {folder} already holds a search: {going_on} goes on with it")
    return folder


def _read_data(training: DictConfig) -> str:
    """Read the data once, so that what is wrong with it is told once; says how it is split."""
    import pytorch_lightning as pl

    from gia.analysis import describe_data

    pl.seed_everything(training.seed, workers=True, verbose=False)
    datamodule = instantiate(training.data)
    datamodule.setup()
    describe_data(datamodule.summary(), console)
    return datamodule.fingerprint()


def _monitor(training: DictConfig) -> tuple[str, str]:
    """The metric by which a training keeps its best model, and whether it is to be small."""
    best = (training.get("callbacks") or {}).get("best") or {}
    return best.get("monitor") or "val/loss", best.get("mode") or "min"


def _default(space: Any, training: DictConfig, choices: dict[str, Any]) -> dict[str, Any]:
    """The values that the settings have where they are not varied."""
    found = {}
    for dimension in space:
        name = dimension.name
        with contextlib.suppress(OmegaConfBaseException):
            value = choices.get(name, OmegaConf.select(training, name))
            if value is None or isinstance(value, str | int | float):
                found[name] = value
    return found


def _report(results: Any) -> None:
    """Say what has come of it, and leave pictures.

    Raises:
        ValueError: If no trial has a value.
    """
    results.write()
    ranked = results.ranked
    _say(f"  {results.counts()}")
    if not ranked:
        first = next((trial.user_attrs["reason"] for trial in results.failed), "all were pruned")
        raise ValueError(f"no trial has come to its end, see {results.folder}/trials.csv: {first}")
    results.draw()
    console.print(results.table())
    for line in results.verdict():
        _say(f"  {line}")
    console.print(f"everything is in {results.folder}", style="bold", soft_wrap=True)


def _say(line: str) -> None:
    console.print(line, soft_wrap=True)
