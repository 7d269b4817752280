"""What a user can cause ends with one line: which setting it is, and what works in its place."""

import argparse
import contextlib
import difflib
import os
import re
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import (
    ConfigCompositionException,
    HydraException,
    InstantiationException,
    MissingConfigException,
    OverrideParseException,
)
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from gia.cli.texts import nodes

FULL = "HYDRA_FULL_ERROR"  # a user's wish for tracebacks
ASKED = "GIA_FULL_ERROR"  # the same, while Hydra is made to raise its errors
HYDRAS = (HydraException, OmegaConfBaseException, ValueError, OSError)


def user_errors() -> tuple[type[Exception], ...]:
    """What a wrong setting, file or environment raises; anything else is a fault of gia's own."""
    errors = (ValueError, OSError, ImportError, OmegaConfBaseException)
    lightning = sys.modules.get("lightning_fabric.utilities.exceptions")
    return errors if lightning is None else (*errors, lightning.MisconfigurationException)


def wants_traceback() -> bool:
    """Whether the user has asked for tracebacks by ``HYDRA_FULL_ERROR=1``."""
    return os.environ.get(ASKED, os.environ.get(FULL, "0")) not in ("", "0")


@contextlib.contextmanager
def raised_by_hydra() -> Iterator[None]:
    """Let Hydra raise its errors: it prints them in words of its own otherwise."""
    before = os.environ.get(FULL)
    os.environ[ASKED] = before or "0"
    os.environ[FULL] = "1"
    try:
        yield
    finally:
        del os.environ[ASKED], os.environ[FULL]
        if before is not None:
            os.environ[FULL] = before


def of_composition(error: Exception, arguments: Sequence[str], config: str) -> str:
    """What to say of an error of Hydra's, before there is a configuration.

    Args:
        error (Exception): Hydra's or OmegaConf's.
        arguments (list of str): Of the command line, as Hydra was given them.
        config (str): The configuration's name, such as ``train``.
    """
    if isinstance(error, OverrideParseException):
        return _of_spelling(error.override, arguments)
    if isinstance(error, MissingConfigException) and error.options:
        group, _, option = (error.missing_cfg_file or "").rpartition("/")
        options = [name for name in error.options if not name.startswith("_")]
        guess = _guess(difflib.get_close_matches(option, options, n=2))
        listed = f"there are {', '.join(options)}"
        return f"{group}={option}: there is no {option!r} in {group}{guess}; {listed}"
    text = str(error)
    unknown = re.match(r"Could not (?:override|delete from config\.) '([^']+)'", text)
    if isinstance(error, ConfigCompositionException) and unknown:
        key = unknown[1]
        add = "" if "delete" in text else f"; +{key}=... adds a new one"
        return f"there is no setting {key}{_guess(_close(key, arguments, config))}{add}"
    ambiguous = re.match(r"(?:Ambiguous value for argument|Sweep parameters) '(.*)'", text)
    if isinstance(error, ConfigCompositionException) and ambiguous:
        key, _, value = ambiguous[1].partition("=")
        several = f"{ambiguous[1]} has several values: for a run of each add -m"
        if "." not in key or text.startswith("Sweep"):
            return several
        as_list = shlex.quote(f"{key}=[{value}]")
        return f"{several}; a list is given as {as_list}, a text as {_as_text(key, value)}"
    emptied = [argument for argument in arguments if re.fullmatch(r"[\w/]+=(null)?", argument)]
    if "Config group override must be" in text and emptied:
        key = emptied[0].partition("=")[0]
        return f"{emptied[0]}: {key} needs one of its options; ~{key} leaves it out"
    if isinstance(error, OmegaConfBaseException):
        return _of_reference(error, arguments)
    return _one_line(error)


def of_job(error: Exception, overrides: Sequence[str], config: str) -> str | None:
    """What to say of an error while a command runs; None if it is a fault of gia's own.

    Args:
        error (Exception): Any.
        overrides (list of str): The settings that were given.
        config (str): The configuration's name, such as ``train``.
    """
    cause = error.__cause__ if isinstance(error, InstantiationException) else None
    root = cause or error
    if isinstance(root, TypeError) or (isinstance(root, ValueError) and _is_bare(root)):
        blamed = _blame(root, overrides, config)
        if blamed is not None:
            return blamed
    if isinstance(root, OmegaConfBaseException):
        return _of_reference(root, overrides)
    if isinstance(root, user_errors()):
        return _one_line(root)
    if isinstance(error, InstantiationException):
        return f"{_one_line(error)} ({FULL}=1 shows where)"
    return None


def _of_spelling(override: str, arguments: Sequence[str]) -> str:
    """An override that Hydra's grammar does not take."""
    key, equals, value = override.partition("=")
    if not equals:
        before = arguments[arguments.index(override) - 1] if override in arguments[1:] else ""
        whole = f"{before} {override}"
        hint = f"; a value with blanks is quoted: {shlex.quote(whole)}" if "=" in before else ""
        return f"{override!r} is no setting, as key=value is{hint}"
    try:
        OverridesParser.create().parse_override(f"{key}=1")
    except HydraException:
        return f"{override!r}: {key!r} is no name of a setting"
    return f"{override!r}: as a text this value is given so: {_as_text(key, value)}"


def _of_reference(error: OmegaConfBaseException, arguments: Sequence[str]) -> str:
    """A setting that refers to what there is not, or a part that was left out."""
    key = error.full_key or ""
    if isinstance(error, (ConfigAttributeError, ConfigKeyError)):
        left_out = f"~{key.partition('.')[0]}"
        why = f": {left_out} has left it out" if left_out in arguments else ""
        return f"the configuration has no {key}{why}"
    return f"{key}: {_one_line(error)}" if key else _one_line(error)


def _as_text(key: str, value: str) -> str:
    return shlex.quote(f"{key}={QuotedString(value, Quote.double).with_quotes()}")


def _is_bare(error: ValueError) -> bool:
    """Python's own words, which name no setting."""
    return type(error) is ValueError and re.match(r"invalid literal|could not convert", str(error))


def _blame(error: Exception, overrides: Sequence[str], config: str) -> str | None:
    """Find the setting whose value is of another kind than its default, or the one too many."""
    defaults = OmegaConf.to_container(_composed(overrides, config), resolve=False)
    for override in OverridesParser.create().parse_overrides(list(overrides)):
        key, value = override.key_or_group, override.value()
        if override.is_add() and f"argument '{key.rpartition('.')[2]}'" in str(error):
            return f"{override.input_line}: {error}"
        default = _select(defaults, key)
        wanted = _wanted(default, value)
        if wanted:
            return f"{override.input_line} is {wanted}, as {key}={_plain(default)} is: {error}"
    return None


def _wanted(default: Any, value: Any) -> str | None:
    """What a value should have been, if it cannot stand for the default."""
    number = isinstance(default, int | float) and not isinstance(default, bool)
    if isinstance(default, bool) and not isinstance(value, bool):
        return "neither true nor false"
    if number and isinstance(value, str | bool) and value != "auto":
        return "no number"
    if type(default) is int and isinstance(value, float) and not value.is_integer():
        return "no whole number"
    return None


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _select(settings: Any, key: str) -> Any:
    for name in key.split("."):
        if not isinstance(settings, Mapping) or name not in settings:
            return None
        settings = settings[name]
    return settings


def _composed(arguments: Sequence[str], config: str) -> DictConfig:
    """The configuration with the options that were chosen, but none of the single settings."""
    GlobalHydra.instance().clear()
    with initialize_config_module("gia.conf", version_base="1.3"):
        groups = GlobalHydra.instance().config_loader().list_groups("")
        chosen = [
            argument
            for argument in arguments
            if re.fullmatch(rf"({'|'.join(groups)})=[\w-]+", argument)
        ]
        for overrides in ([*_search_path(), *chosen], []):
            with contextlib.suppress(HydraException):
                return compose(config, overrides=overrides, return_hydra_config=True)
    return OmegaConf.create()


def _search_path() -> list[str]:
    """The user's own folder of configurations."""
    folder = hydra_options().config_dir
    if not folder:
        return []
    address = QuotedString(f"file://{Path(folder).absolute()}", Quote.single)
    return [f"hydra.searchpath=[{address.with_quotes()}]"]


def hydra_options() -> argparse.Namespace:
    """Hydra's own options on the command line, as far as they say where configurations are."""
    parser = argparse.ArgumentParser(add_help=False)
    for option in ("config-dir", "config-name", "config-path"):
        parser.add_argument(f"--{option}", f"-c{option[7]}")
    return parser.parse_known_args(sys.argv[1:])[0]


def _close(key: str, arguments: Sequence[str], config: str) -> list[str]:
    """Settings and groups of a similar name: beside it, of the same name elsewhere, or at all."""
    known = [key for key, _ in nodes(_composed(arguments, config)) if "._" not in f".{key}"]
    parent, _, name = key.rpartition(".")
    beside = {other.rpartition(".")[2]: other for other in known if _parent(other) == parent}
    close = difflib.get_close_matches(name, beside, n=2)
    if close:
        return [beside[other] for other in close]
    same = [other for other in known if other.endswith(f".{name}") or other == name]
    return same[:2] or difflib.get_close_matches(key, known, n=2, cutoff=0.8)


def _parent(key: str) -> str:
    return key.rpartition(".")[0]


def _guess(names: Sequence[str]) -> str:
    return f"; did you mean {' or '.join(names)}?" if names else ""


def _one_line(error: Exception) -> str:
    """A message's lines in one, without those that speak of Hydra's insides."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    inside = ("See https", "full_key: ", "object_type=", "reference_type=")
    kept = [line for line in lines if not line.startswith(inside)]
    return " ".join(line if line[-1] in ".:;,?!" else f"{line};" for line in kept).rstrip(";")
