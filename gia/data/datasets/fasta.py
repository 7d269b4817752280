"""Sequences from a FASTA file."""

from __future__ import annotations

from io import StringIO
from os import PathLike
from typing import Any

from gia.data.datasets.sequences import Record, SequenceDataset
from gia.data.files import read_text


class Fasta(SequenceDataset):
    """The sequences of a FASTA file, also a gzipped one.

    Args:
        path: the file.
        url: where to download it from if ``path`` does not exist.
        **options: of :class:`gia.data.datasets.SequenceDataset`.
    """

    def __init__(self, path: str | PathLike, url: str | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.path, self.url = path, url

    def records(self) -> list[Record]:
        """All entries in the file's order, named by the first word of their header.

        Raises:
            ImportError: if Biopython is not installed.
            OSError, ValueError: if the file cannot be read or has no ``>`` header.
        """
        try:
            from Bio.SeqIO.FastaIO import SimpleFastaParser
        except ImportError as error:
            raise ImportError(
                "reading FASTA takes Biopython, which is not installed: pip install gia[bio]"
            ) from error
        text = read_text(self.path, self.url)
        if not text.lstrip().startswith(">"):
            raise ValueError(
                f"data.path={self.path} does not start with a '>' header, so it is not FASTA: "
                f"for a table use data=csv, for plain text data=text"
            )
        entries = SimpleFastaParser(StringIO(text))
        return [
            Record((header.split() or [f"sequence_{i}"])[0], sequence)
            for i, (header, sequence) in enumerate(entries)
        ]

    def with_file(self, path: Any, **columns: Any) -> SequenceDataset:
        """The sequences of another FASTA file, or of a table where its columns are named."""
        return super().with_file(path, **columns) if columns else Fasta(path, **self.options)
