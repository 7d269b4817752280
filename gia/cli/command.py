"""What all commands share: settings as they are spelled, one clear line where they are wrong."""

import contextlib
import functools
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.utils import get_original_cwd
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console

from gia.cli.argument_files import with_files
from gia.cli.errors import HYDRAS, of_composition, of_job, raised_by_hydra, wants_traceback
from gia.cli.resume import resume_command
from gia.cli.texts import as_spelled, settle

_line: list[str] = []  # see started_as


def command(config: str) -> Callable[[Callable[[DictConfig], None]], Callable[[], None]]:
    """Make a command of a function: Hydra composes its configuration from the command line.

    What a user can cause ends with one line; a fault of gia's own with a traceback.

    Args:
        config (str): The configuration's name in ``conf``.
    """

    def decorate(body: Callable[[DictConfig], None]) -> Callable[[], None]:
        main = hydra.main(version_base="1.3", config_path="pkg://gia.conf", config_name=config)
        app = main(_guarded(body, config))

        @functools.wraps(body)
        def entry() -> None:
            run_app(app, config)

        return entry

    return decorate


def started_as(line: list[str]) -> None:
    """Note the whole command line, of which Hydra and messages know a part."""
    _line[:] = line


@contextlib.contextmanager
def whole_line() -> Iterator[None]:
    """Let the whole command line be seen, by which Lightning starts a training's processes."""
    before = sys.argv
    sys.argv = list(_line or before)
    try:
        yield
    finally:
        sys.argv = before


def run_app(app: Callable[[], None], config: str) -> None:
    """Call a function of ``hydra.main`` with the texts of the command line as they are spelled.

    ``@FILE`` stands for the settings in a file.
    """
    program, *arguments = sys.argv
    if "JPY_PARENT_PID" in os.environ:
        # A cell of a notebook says that it is a terminal, and keeps each state of a bar: lines.
        os.environ.setdefault("TTY_COMPATIBLE", "0")
    try:
        arguments = with_files(arguments)
        sys.argv = [program, *as_spelled(arguments)]
        with raised_by_hydra():
            app()
    except HYDRAS as error:
        if wants_traceback():
            raise
        fail(of_composition(error, arguments, config))


def fail(message: str, status: int = 1) -> None:
    """End with one line."""
    with contextlib.suppress(OSError, ValueError, OmegaConfBaseException):
        _leave(Path(HydraConfig.get().runtime.output_dir).absolute(), Path.cwd())
    errors = Console(stderr=True, markup=False, emoji=False, highlight=False)
    errors.print(f"gia: {message}", soft_wrap=True)
    sys.exit(status)


def _leave(folder: Path, here: Path) -> None:
    """Remove a run's folder if nothing is in it yet, and what is then empty between it and here.

    Raises:
        OSError: At the first folder that is not empty.
    """
    folder.rmdir()
    for parent in folder.parents:
        if here not in parent.parents:
            break
        parent.rmdir()


def _guarded(body: Callable[[DictConfig], None], config: str) -> Callable[[DictConfig], None]:
    @functools.wraps(body)
    def wrapped(cfg: DictConfig) -> None:
        from gia.training import Interrupted
        from gia.training.quiet import quiet

        quiet()
        try:
            prepare(cfg)
            body(cfg)
        except Interrupted as stop:
            if stop.checkpoint is None:
                fail("interrupted before the first checkpoint: nothing to resume from", 130)
            fail(f"interrupted; this goes on from there:\n{resume_command(stop.checkpoint)}", 130)
        except KeyboardInterrupt:
            fail("interrupted", 130)
        except Exception as error:
            message = of_job(error, HydraConfig.get().overrides.task, config)
            if message is None or wants_traceback():
                raise
            fail(message)

    return wrapped


def prepare(cfg: DictConfig) -> None:
    """Say what is missing, and make texts of texts.

    Args:
        cfg (DictConfig): A configuration, changed in place.

    Raises:
        ValueError: If the user has to give something.
    """
    missing = _missing(OmegaConf.to_container(cfg, resolve=False))
    if missing:
        raise ValueError("; ".join(f"{key} is missing: give {key}=..." for key in missing))
    origin = Path(get_original_cwd())
    moved = origin != Path.cwd()  # by hydra.job.chdir=true
    for note in settle(cfg, origin if moved else None):
        print(f"  {note}")


def check_numbers(cfg: DictConfig, **least: int) -> None:
    """See that settings are whole numbers, each of at least so much.

    Raises:
        ValueError: If one is not, with its name.
    """
    for name, lowest in least.items():
        if isinstance(cfg[name], bool) or not isinstance(cfg[name], int) or cfg[name] < lowest:
            raise ValueError(f"{name} must be a whole number of at least {lowest}, got {cfg[name]}")


def _missing(cfg: Any, prefix: str = "") -> list[str]:
    """Keys whose value only the user can give."""
    if isinstance(cfg, dict):
        return [key for name in cfg for key in _missing(cfg[name], f"{prefix}{name}.")]
    return [prefix.removesuffix(".")] if cfg == "???" else []
