"""Settings that name a column, a file, a class or a text arrive as they are spelled.

Hydra reads the value of ``key=value`` by a grammar of its own. To it ``400``, ``1E5`` and
``2024_01_05`` are numbers, ``NAN`` is a float and ``NULL`` is nothing, and it refuses parentheses,
``=``, ``~`` and letters beyond ASCII. Whether a value is a text is decided by its key, so for the
keys listed here, and for them alone, the value is quoted before Hydra sees it.
"""

import re
import shlex
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import HydraException
from omegaconf import DictConfig, ListConfig, Node, OmegaConf, open_dict

# Keys of files and folders, in which a leading ~ is the home folder. A * matches within a name.
PATHS = (
    *("tokenizer.chat_template",),
    *("adapter_path", "ckpt", "ckpt_path", "init_from", "out", "resume", "run_dir", "variants"),
    *("data.path", "data.*_path", "data.*_file", "data.root", "data.dataset.root"),
    *("evidence", "report", "scratch", "trainer.default_root_dir"),
    *("callbacks.*.dirpath", "logger.*.save_dir", "hydra.run.dir", "hydra.sweep.dir"),
)
# Keys of other texts.
TEXTS = (
    *("name", "prompt", "sequence", "input", "trust", "variant_column", "of_column"),
    *(
        "base",
        "model.base",
        "tokenizer.base",
        "tokenizer.eos_token",
        "data.template",
        "data.*_field",
    ),
    *("data.alphabet", "data.missing", "data.name", "data.property", "data.target", "data.url"),
    *("data.*_column", "data.aliases.*", "data.units", "data.encodings", "data.dataset.name"),
    *("data.feature_columns", "callbacks.*.filename"),
)
# Those that take [several, texts] as well.
LISTS = (
    *("data.path", "data.missing", "data.encodings", "trust"),
    *("data.smiles_column", "data.target_column", "data.feature_columns", "data.units"),
)
# Those that take {name: text} as well, which Hydra reads.
MAPPINGS = ("data.units",)

SETTING = re.compile(r"(?P<sign>\+{0,2})(?P<key>[\w.-]+)=(?P<value>.*)", re.DOTALL)
SWEEP = re.compile(r"\s*(choice|range|shuffle|sort|tag|interval|glob)\s*\(.*\)\s*", re.DOTALL)
INTERPOLATION = re.compile(r"\$\{[^{}]+(\{[^{}]*\}[^{}]*)*\}")
ESCAPE = re.compile(r"\\[()\[\]{}:=, \t]")  # of Hydra's; other backslashes are letters
OPENING = re.compile(r"(\\*)\$\{")
FLAGS_WITH_VALUES = (
    *("--config-dir", "-cd", "--config-name", "-cn", "--config-path", "-cp"),
    *("--package", "-p", "--cfg", "-c", "--info", "-i"),
)

_hydra = OverridesParser.create()


def is_text(key: str) -> bool:
    """Whether a setting is a text, whatever it looks like."""
    return _listed(key, PATHS) or _listed(key, TEXTS)


def as_spelled(arguments: Sequence[str]) -> list[str]:
    """Arguments of a command line with the texts among them quoted for Hydra.

    A value that Hydra's own quoting makes a text already, ``key="'FP (°C)'"`` or
    ``ckpt_path=epoch\\=3.ckpt``, stays as it is. ``null`` in lower case is no value; the text is
    ``key='"null"'``. Commas separate values only where several runs are asked for (``-m``), and
    only some settings take a list.

    Args:
        arguments (list of str): Without the name of the command.
    """
    several = any(argument in ("-m", "--multirun") for argument in arguments)
    previous = [None, *arguments]
    return [
        argument if before in FLAGS_WITH_VALUES else _quoted(argument, several)
        for before, argument in zip(previous, arguments, strict=False)
    ]


def for_shell(key: str, value: Any) -> str:
    """A setting as a word that can be pasted into a shell, and is read as this value again.

    Args:
        key (str): Of the setting.
        value (str): Any text, or something else in Hydra's spelling.
    """
    word = f"{key}={value}"
    if is_text(key.lstrip("+")) and _reads_as(_quoted(word, False)) != value:
        word = f"{key}={_quote(value)}"
    return shlex.quote(word)


def settle(cfg: DictConfig, folder: Path | None = None) -> list[str]:
    """Make texts of the texts that a file, or one of Hydra's functions, gave as numbers.

    Args:
        cfg (DictConfig): A configuration, changed in place.
        folder (Path, optional): Where relative paths start, if that is not the working folder.

    Returns:
        What to say of numbers whose spelling can only be guessed.

    Raises:
        ValueError: If a value has no certain spelling, such as true, which may have been ``on``.
    """
    notes = []
    for key, node in nodes(cfg):
        if not is_text(key) or node._is_missing() or _has_members(node):
            continue
        value = OmegaConf.select(cfg, key)
        plain = OmegaConf.to_container(value) if isinstance(value, ListConfig) else value
        settled = _settled(key, plain, notes)
        if _listed(key, PATHS):
            settled = _path(settled, folder)
        if settled != plain:
            with open_dict(cfg):
                OmegaConf.update(cfg, key, settled)
    return notes


def _quoted(argument: str, several: bool) -> str:
    match = SETTING.fullmatch(argument)
    if match is None or not is_text(match["key"]):
        return argument
    key, value = match["key"], match["value"]
    if several and SWEEP.fullmatch(value):
        return argument  # its values are settled when they arrive
    parts = _split(value) if several else [value]
    if len(parts) > 1:
        parts = [part.strip() for part in parts]
    return f"{match['sign']}{key}={','.join(_value(key, part) for part in parts)}"


def _value(key: str, value: str) -> str:
    """A single value in Hydra's spelling."""
    if value in ("", "null") or _is_quoted(value):
        return value
    inside = _inside_brackets(value)
    if inside is not None and _listed(key, LISTS):
        return f"[{','.join(_value(key, part.strip()) for part in _split(inside) if part.strip())}]"
    if _listed(key, MAPPINGS) and isinstance(_reads_as(f"mapping={value}"), dict):
        return value
    if value.startswith("~") and _listed(key, PATHS):
        value = str(Path(value).expanduser()) if value[1:2] in ("", "/") else value
    return _quote(value)


def _quote(value: str) -> str:
    if not INTERPOLATION.search(value):
        # OmegaConf's own escape; there backslashes before it are written twice.
        value = OPENING.sub(lambda opening: opening[1] * 2 + "\\${", value)
    return QuotedString(value, Quote.single).with_quotes()


def _is_quoted(value: str) -> bool:
    """Whether Hydra's own quotes or backslashes make a text of a value."""
    if value[0] not in "'\"" and not ESCAPE.search(value):
        return False
    return isinstance(_reads_as(f"text={value}"), str)


def _reads_as(override: str) -> Any:
    try:
        return _hydra.parse_override(override).value()
    except HydraException:
        return None


def _inside_brackets(value: str) -> str | None:
    """What a pair of brackets around the whole value holds."""
    if not (value.startswith("[") and value.endswith("]")):
        return None
    depth = 0
    for position, sign in enumerate(value):
        depth += (sign == "[") - (sign == "]")
        if depth == 0:
            return value[1:-1] if position == len(value) - 1 else None
    return None


def _split(value: str) -> list[str]:
    """At the commas that are neither quoted nor escaped nor in brackets."""
    return _split_outside(value, "[{(", "]})") or _split_outside(value, "", "")


def _split_outside(value: str, opening: str, closing: str) -> list[str]:
    """Nothing if the brackets do not match."""
    parts, start, depth, position, quote = [], 0, 0, 0, ""
    while position < len(value):
        sign = value[position]
        if sign == "\\":
            position += 1
        elif quote:
            quote = "" if sign == quote else quote
        elif sign in "'\"" and not value[start:position].strip() and sign in value[position + 1 :]:
            quote = sign  # an apostrophe elsewhere is a letter
        elif sign == "," and depth == 0:
            parts.append(value[start:position])
            start = position + 1
        else:
            depth += (sign in opening) - (sign in closing) if opening else 0
        position += 1
    return [*parts, value[start:]] if depth == 0 else []


def nodes(cfg: DictConfig, prefix: str = "") -> Iterator[tuple[str, Node]]:
    """The key and the node of every setting and every group of them; a list is one setting."""
    for name in list(cfg):
        node = cfg._get_node(name)
        yield f"{prefix}{name}", node
        if _has_members(node):
            yield from nodes(node, f"{prefix}{name}.")


def _has_members(node: Node) -> bool:
    return isinstance(node, DictConfig) and not (node._is_none() or node._is_interpolation())


def _settled(key: str, value: Any, notes: list[str]) -> Any:
    if isinstance(value, list):
        return [_settled(key, member, notes) for member in value]
    if value is None or isinstance(value, str):
        return value
    if type(value) is int:
        notes.append(f"{key}: the number {value} is read as the text {str(value)!r}")
        return str(value)
    raise ValueError(
        f"{key} is {value} and no text: where a file says it, write it in quotes, as '{value}'"
    )


def _path(value: Any, folder: Path | None) -> Any:
    if isinstance(value, list):
        return [_path(member, folder) for member in value]
    if not isinstance(value, str) or not value:
        return value
    if value == "~" or value.startswith("~/"):
        value = str(Path(value).expanduser())
    return value if folder is None else str(folder / value)


def _listed(key: str, patterns: Sequence[str]) -> bool:
    """Each part of a key against a part of a pattern: a * never spans a dot."""
    parts = key.split(".")
    return any(
        len(names := pattern.split(".")) == len(parts) and all(map(fnmatchcase, parts, names))
        for pattern in patterns
    )
