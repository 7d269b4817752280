"""``@FILE``: settings that stand in a file, a YAML list of what would stand on the command line."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml


def with_files(arguments: Sequence[str]) -> list[str]:
    """The arguments of a command line, with those of a file in the place of each ``@FILE``.

    What stands behind the file goes before what stands in it.

    Args:
        arguments (list of str): Without the name of the command.

    Raises:
        OSError, ValueError: If a file cannot be read, or is no list of settings.
    """
    return [part for argument in arguments for part in _parts(argument)]


def _parts(argument: str) -> Iterator[str]:
    if not argument.startswith("@"):
        yield argument
        return
    path = Path(argument[1:]).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"{argument}: there is no file {path}")
    try:
        listed = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise ValueError(f"{argument} is no YAML: {' '.join(str(error).split())}") from error
    if not isinstance(listed, list) or not all(isinstance(part, str) for part in listed):
        raise ValueError(
            f"{argument} holds no list of settings, each as on the command line: "
            "- data=esol, and - model.width=64 in the next line"
        )
    yield from listed
