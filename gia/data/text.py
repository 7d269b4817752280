"""Plain text files."""

from collections.abc import Iterable
from glob import glob
from os import PathLike
from pathlib import Path

from gia.data.files import read_text
from gia.data.sequence import Record


class Text:
    """One record per text file, for language modelling over windows.

    Args:
        path: a file, a pattern such as ``books/*.txt``, or a list of either.
        url: where to download a file from if it does not exist.
    """

    def __init__(
        self, path: str | PathLike | Iterable[str | PathLike], url: str | None = None
    ) -> None:
        self.path, self.url = path, url

    def load(self) -> list[Record]:
        """All files, those of a pattern in alphabetical order.

        Raises:
            OSError, ValueError: if there is no such file or it cannot be read.
        """
        entries = [self.path] if isinstance(self.path, str | PathLike) else self.path
        # A pattern without a match stays as it is, so that reading it says what is missing.
        files = [file for entry in entries for file in (_expand(entry) or [entry])]
        return [Record(Path(file).name, read_text(file, self.url)) for file in files]


def _expand(entry: str | PathLike) -> list[str]:
    return sorted(glob(str(Path(entry).expanduser())))
