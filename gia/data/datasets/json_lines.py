"""Records of JSON, one a line, each line with what is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from gia.data.files import read_text


@dataclass
class Line:
    """A line of a file, or a member of a list that a file holds.

    Attributes:
        name: the file and the number of the line, counted from 1 as editors do.
        record: what it holds; empty if it cannot be used.
        problem: why it cannot.
    """

    name: str
    record: dict[str, Any]
    problem: str | None = None


def read_lines(files: Iterable[str | PathLike], url: str | None = None) -> list[Line]:
    """All lines of some files, in their order; those of blanks at the end of a file are none.

    Args:
        files: of JSON lines, or a list of records in JSON.
        url: where to download a file from if it does not exist.

    Raises:
        OSError, ValueError: if a file cannot be read, or is a list in JSON that is broken.
    """
    return [line for file in files for line in _of_file(file, read_text(file, url))]


def _of_file(file: str | PathLike, text: str) -> Iterator[Line]:
    name = Path(file).name
    if text.lstrip().startswith("["):
        try:
            records = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ValueError(
                f"data.path={file} begins as a list in JSON, but is none: {error}; give a record "
                "in each line instead"
            ) from error
        for number, record in enumerate(records, start=1):
            yield _checked(f"{name}:{number}", record)
        return
    for number, line in enumerate(text.rstrip().split("\n"), start=1):
        yield _of_line(f"{name}:{number}", line)


def _of_line(name: str, line: str) -> Line:
    if not line.strip():
        return Line(name, {}, "an empty line")
    try:
        return _checked(name, json.loads(line))
    except (ValueError, RecursionError) as error:
        return Line(name, {}, f"no JSON: {error}")


def _checked(name: str, record: Any) -> Line:
    if not isinstance(record, dict):
        return Line(name, {}, f"a {type(record).__name__} of JSON, and no record of fields")
    return Line(name, record)
