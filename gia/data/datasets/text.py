"""Plain text files."""

from __future__ import annotations

from collections.abc import Iterable
from os import PathLike
from pathlib import Path
from typing import Any

from gia.data.datasets.sequences import Record, SequenceDataset
from gia.data.datasets.windowing import window_items
from gia.data.files import expand, read_text
from gia.data.items import Items
from gia.data.tokenizer import ByteTokenizer, Tokenizer


class Text(SequenceDataset):
    """Text files in windows, for language modelling: consecutive pieces of ``max_length`` targets,
    the last one of a file shorter.

    Neighbouring windows share one symbol, the last target of one being the first token of the
    next, so that every symbol but the text's first is a target exactly once.

    Args:
        path: a file, a pattern such as ``books/*.txt``, or a list of either.
        url: where to download a file from if it does not exist.
        tokenizer: which symbols there are; bytes if left out.
        max_length: nodes of a window.
        **options: of :class:`gia.data.datasets.SequenceDataset`.

    Raises:
        ValueError: if an option is out of range, or the windows are not for a language model.
    """

    framed = False

    def __init__(
        self,
        path: str | PathLike | Iterable[str | PathLike],
        url: str | None = None,
        *,
        tokenizer: Tokenizer | None = None,
        max_length: int = 256,
        target_type: str = "next_token",
        **options: Any,
    ) -> None:
        super().__init__(
            tokenizer=tokenizer or ByteTokenizer(),
            max_length=max_length,
            target_type=target_type,
            **options,
        )
        self.path, self.url = path, url
        if self.append_label:
            raise ValueError(
                "data.append_label=true needs whole sequences, but data=text has windows"
            )

    def records(self) -> list[Record]:
        """All files, those of a pattern in alphabetical order.

        Raises:
            OSError, ValueError: if there is no such file or it cannot be read.
        """
        return [Record(Path(file).name, read_text(file, self.url)) for file in expand(self.path)]

    def load(self, labelled: bool = True) -> Items:
        """The windows of all files.

        Raises:
            OSError: if a file cannot be read.
            ValueError: if no text is long enough, or the windows are to have a target.
        """
        if self.target_type != "next_token":
            raise ValueError(
                "windows of a text have no target to predict: use data=labelled_csv, or "
                "task=language_modeling"
            )
        records = self.records()
        self.tokenizer = self.tokenizer.trained_on(record.sequence for record in records)
        return window_items(records, self.tokenizer, self.max_length)

    def with_file(self, path: Any, **columns: Any) -> Text:
        """The windows of another text."""
        if columns:
            raise ValueError(f"a text has no columns such as {', '.join(columns)}: leave them out")
        options = self.options
        del options["target_level"], options["append_label"]
        return Text(path, **options)
