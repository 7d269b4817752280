"""Plain text files."""

from __future__ import annotations

from collections.abc import Iterable
from glob import glob
from os import PathLike
from pathlib import Path
from typing import Any

from torch_geometric.data import Data

from gia.data.datasets.sequences import Record, SequenceDataset
from gia.data.files import read_text
from gia.data.items import Items
from gia.data.tokenizer import ByteTokenizer, Tokenizer
from gia.data.transforms import NextToken


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
        entries = [self.path] if isinstance(self.path, str | PathLike) else self.path
        # A pattern without a match stays as it is, so that reading it says what is missing.
        files = [file for entry in entries for file in (_expand(entry) or [entry])]
        return [Record(Path(file).name, read_text(file, self.url)) for file in files]

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
        graphs, unknown, first = [], {}, None
        for record in self.records():
            found = self.tokenizer.count_unknown(record.sequence)
            first = first or (record.name if found else None)
            unknown |= {symbol: unknown.get(symbol, 0) + n for symbol, n in found.items()}
            graphs += windows(record, self.tokenizer, self.max_length)
        if not graphs:
            raise ValueError("no sequence left: a text needs at least two symbols")
        for row, data in enumerate(graphs):
            data.row = row
        return Items(
            graphs=graphs,
            level="node",
            kind="sequence",
            num_rows=len(graphs),
            unknown=dict(sorted(unknown.items())),
            first_unknown=first,
        )

    def with_file(self, path: Any, **columns: Any) -> Text:
        """The windows of another text."""
        if columns:
            raise ValueError(f"a text has no columns such as {', '.join(columns)}: leave them out")
        options = self.options
        del options["target_level"], options["append_label"]
        return Text(path, **options)


def windows(record: Record, tokenizer: Tokenizer, length: int) -> list[Data]:
    """A long text as consecutive graphs of ``length`` targets each, the last one shorter.

    Args:
        record: the text.
        tokenizer: used without ``<bos>`` and ``<eos>``.
        length: nodes L of a window.

    Shapes:
        token, y, seq_pos: [L], int64
    """
    symbols, frame, graphs = tokenizer.encode(record.sequence), NextToken(framed=False), []
    for start in range(0, len(symbols) - 1, length):
        chunk = symbols[start : start + length + 1]
        data = Data(token=chunk, name=f"{record.name}:{start}", cut=0)
        data.text = tokenizer.decode(chunk[1:], specials=False)
        graphs.append(frame(data))
    return graphs


def _expand(entry: str | PathLike) -> list[str]:
    return sorted(glob(str(Path(entry).expanduser())))
