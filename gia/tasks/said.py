"""What a model says of a table, part by part: kept in files until all of it is said."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from gia.data.files import write_atomically

OWN = re.compile(r"[0-9a-f]{32}\.json|\.[0-9a-f]{32}\.json\..*")  # whole, or half-written


@dataclass
class Said:
    """What is said of some rows of a table.

    Attributes:
        columns (list of str): The new columns.
        cells (list): The new cells of each row; of a row without them the reason, a text.
        filled (list of dict): The rows with a feature that is no number.
        far (int, optional): How many rows are far from the training, if that is known.
    """

    columns: list[str]
    cells: list[list[str] | str]
    filled: list[dict[str, Any]] = field(default_factory=list)
    far: int | None = None


class SaidOfTable:
    """What is said of all rows, which can be gone through without holding it.

    Args:
        folder (Path, optional): Where it is kept until :meth:`forget`, a file for each part, and
            found again by who was interrupted; None keeps it in memory.
    """

    def __init__(self, folder: Path | None = None):
        self.folder = folder
        self.columns: list[str] = []
        self.filled: list[dict[str, Any]] = []
        self.far: int | None = None
        self._rows = 0
        self._parts: list[Said | Path] = []

    def add(self, say: Callable[[], Said], key: str) -> bool:
        """Add what is said of the next rows.

        Args:
            say (callable): Says it.
            key (str): What it depends on, the name of its file.

        Returns:
            Whether it was said now, and not found.
        """
        part, new = None, False
        file = None if self.folder is None else self.folder / f"{key}.json"
        if file is not None and file.exists():
            part = Said(**json.loads(file.read_text(encoding="utf-8")))
        if part is None:
            part, new = say(), True
            if file is not None:
                self.folder.mkdir(exist_ok=True)
                with write_atomically(file) as stream:
                    json.dump(asdict(part), stream)
        self.columns = self.columns or part.columns  # of a part without an item there are none
        self.filled += part.filled
        if part.far is not None:
            self.far = (self.far or 0) + part.far
        self._rows += len(part.cells)
        self._parts.append(part if file is None else file)
        return new

    def forget(self) -> None:
        """Remove the files, and those of before under other keys; nothing else is touched."""
        if self.folder is None or not self.folder.is_dir():
            return
        for file in self.folder.iterdir():
            if OWN.fullmatch(file.name):
                file.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # something of somebody else's is left
            self.folder.rmdir()

    def __iter__(self) -> Iterator[Sequence[str] | str]:
        for part in self._parts:
            if isinstance(part, Path):
                part = Said(**json.loads(part.read_text(encoding="utf-8")))
            yield from part.cells

    def __len__(self) -> int:
        return self._rows
