"""Sequences from a FASTA file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from io import StringIO
from os import PathLike
from typing import Any, NamedTuple

from gia.data.alphabets import alphabet_notes
from gia.data.datasets.sequences import Record, SequenceDataset
from gia.data.datasets.windowing import window_items
from gia.data.files import read_text
from gia.data.items import Items
from gia.data.optional import require
from gia.data.residues import Residues

# What begins a line of comment: ; in Pearson's format, the others in BLAST's.
COMMENT = (";", "#", "!")


class Fasta(SequenceDataset):
    """The sequences of a FASTA file, also a gzipped one.

    Lines that begin with ``;``, ``#`` or ``!`` are comments, wherever they stand; what else comes
    before the first header is left out and told.

    Args:
        path: the file.
        url: where to download it from if ``path`` does not exist.
        windows: read each sequence in consecutive windows of ``max_length`` symbols instead of
            cutting it there, for a language model of a few long sequences.
        **options: of :class:`gia.data.datasets.SequenceDataset`.

    Raises:
        ValueError: if an option is out of range, or windows are to end with a class.
    """

    def __init__(
        self,
        path: str | PathLike,
        url: str | None = None,
        windows: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if windows and self.append_label:
            raise ValueError("data.append_label=true needs whole sequences: data.windows=false")
        self.path, self.url, self.windows = path, url, windows
        self.framed = not windows

    def records(self) -> list[Record]:
        """All entries in the file's order, named by the first word of their header.

        Where several have that word in common, they are named by the whole header, and numbered
        if that is the same too.

        Raises:
            ImportError: if Biopython is not installed.
            OSError, ValueError: if the file cannot be read or has no ``>`` header.
        """
        return [Record(entry.name, entry.sequence) for entry in self._read[0]]

    def notes(self) -> list[str]:
        return self._read[1]

    def load(self, labelled: bool = True) -> Items:
        """The sequences that are not empty, or their windows, in the file's order.

        Raises:
            ImportError: if Biopython is not installed.
            OSError: if the file cannot be read.
            ValueError: if it is no FASTA, or its windows are to have a target.
        """
        if not self.windows:
            return super().load(labelled)
        if self.target_type != "next_token":
            raise ValueError("data.windows=true is for task=language_modeling: leave it out")
        residues = Residues(self.tokenizer)
        records = [replace(record, sequence=residues(record.sequence)) for record in self.records()]
        items = window_items(records, self.tokenizer, self.max_length)
        letters = Counter(letter for record in records for letter in record.sequence)
        notes = [*self.notes(), *residues.notes(), *alphabet_notes(letters, self.tokenizer)]
        return replace(items, letters=dict(letters), notes=[*notes, *items.notes])

    def with_file(self, path: Any, **columns: Any) -> SequenceDataset:
        """The sequences of another FASTA file, or of a table where its columns are named."""
        if columns:
            return super().with_file(path, **columns)
        return Fasta(path, windows=self.windows, **self.options)

    @cached_property
    def _read(self) -> tuple[list[Entry], list[str]]:
        """The entries, and what is to be known of how they were read."""
        return read_fasta(self.path, self.url)


class Entry(NamedTuple):
    """One of a FASTA file: the name that no other has, the whole header, and what follows it."""

    name: str
    header: str
    sequence: str


def read_fasta(
    path: str | PathLike, url: str | None = None, option: str = "data.path"
) -> tuple[list[Entry], list[str]]:
    """All entries of a file, and what is to be known of how they were read, a sentence each.

    Args:
        path: the file, also a gzipped one.
        url: where to download it from if it does not exist.
        option: the setting that names it, for errors.

    Raises:
        ImportError: if Biopython is not installed.
        OSError, ValueError: if the file cannot be read or has no ``>`` header.
    """
    parser = require("Bio.SeqIO.FastaIO", "reading FASTA takes Biopython", "bio").SimpleFastaParser
    lines, notes = _entries(read_text(path, url, option))
    if not lines:
        raise ValueError(
            f"{option}={path} has no '>' header, so it is not FASTA: for a table use "
            "data=csv, for plain text data=text"
        )
    headers, sequences = zip(*parser(iter(lines)), strict=True)
    names, repeated = _names(headers)
    if repeated:
        notes.append(
            f"{repeated:,} sequences share the first word of their header with another: they "
            "are named by all of it"
        )
    return list(map(Entry, names, headers, sequences)), notes


def _entries(text: str) -> tuple[list[str], list[str]]:
    """The lines from the first header on without comments, and what was left out, in words."""
    lines = [line.strip() for line in StringIO(text, newline=None)]
    lines = [line for line in lines if line]
    entries = [line for line in lines if not line.startswith(COMMENT)]
    start = next((i for i, line in enumerate(entries) if line.startswith(">")), len(entries))
    notes = []
    if len(entries) < len(lines):
        notes.append(f"{len(lines) - len(entries):,} lines of comment were left out")
    if start:
        notes.append(
            f"{start:,} lines before the first header were left out, the first is "
            f"{entries[0][:40]!r}"
        )
    return entries[start:], notes


def _names(headers: Sequence[str]) -> tuple[list[str], int]:
    """A name of its own for each header, and how many share their first word with another."""
    words = [(header.split() or [f"sequence_{i}"])[0] for i, header in enumerate(headers)]
    number = Counter(words)
    names = [h if h and number[w] > 1 else w for h, w in zip(headers, words, strict=True)]
    taken, seen = set(names), Counter()
    for i, name in enumerate(names):
        seen[name] += 1
        if seen[name] > 1:
            names[i] = f"{name} #{seen[name]}"
            while names[i] in taken:
                names[i] += "'"
            taken.add(names[i])
    return names, sum(n for n in number.values() if n > 1)
