"""The command line that goes on from a checkpoint."""

import os
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.utils import get_original_cwd

from gia.cli.texts import for_shell, is_text

# A resumed run has a folder of its own, and a checkpoint that holds what it once started from.
LEFT_OUT = ("ckpt_path", "run_dir", "init_from")


def resume_command(checkpoint: Path) -> str:
    """The command of this run, or of this job of several, from a checkpoint on.

    It can be pasted into a shell in the folder where the command was given.
    """
    program = os.path.basename(sys.argv[0])
    program = f"python {sys.argv[0]}" if program.endswith(".py") else program
    path = os.path.relpath(checkpoint, get_original_cwd())
    return " ".join([program, *_settings(), for_shell("ckpt_path", path)])


def _settings() -> Iterator[str]:
    config = HydraConfig.get()
    for source in config.runtime.config_sources:
        if source.provider == "command-line":
            yield shlex.quote(f"--config-dir={source.path}")
    for override in OverridesParser.create().parse_overrides([*config.overrides.task]):
        value = override.value()
        if override.key_or_group in LEFT_OUT:
            continue
        if is_text(override.key_or_group) and isinstance(value, str):
            yield for_shell(override.get_key_element(), value)
        else:
            yield shlex.quote(override.input_line)
