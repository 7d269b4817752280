"""Sequences of symbols, for a language model or with targets."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from os import PathLike
from typing import Any

import torch
from torch_geometric.data import Data

from gia.data.alphabets import Letters, alphabet_notes
from gia.data.cache import digest
from gia.data.datasets.base import Dataset
from gia.data.datasets.table import TableDataset
from gia.data.items import NO_SEQUENCE, Items, Rejected
from gia.data.progress import progress
from gia.data.residues import Residues
from gia.data.tokenizer import AMINO_ACIDS, CharTokenizer, Tokenizer
from gia.data.transforms import SEPARATOR, Chain, NextToken, label_token

LEVELS = ("graph", "node")


@dataclass
class Record:
    """One named sequence as it is read, possibly with the name of its class and raw targets."""

    name: str
    sequence: str
    label: str | None = None
    cells: list[str] = field(default_factory=list)


class SequenceDataset(Dataset):
    """Sequences: ``token [N]``, ``seq_pos [N]`` and ``text``, the sequence as it is seen.

    With targets, or without any, neighbours are joined by :class:`gia.data.Chain`; for
    ``target_type="next_token"`` a sequence is framed by :class:`gia.data.NextToken`. Blanks, gaps
    and a stop at the end are left out, see :class:`gia.data.residues.Residues`.

    A subclass gives :meth:`records`.

    Args:
        tokenizer: which symbols there are; left out, the characters of ``alphabet``.
        alphabet: the symbols, in either case; by default the 20 amino acids.
        max_length: the most nodes of a sequence; what is cut is counted.
        append_label: end each sequence with ``|`` and the token of its class, for a language model.
        target_level: ``"graph"``, or ``"node"``: a cell holds one letter a symbol, or for
            regression one number a symbol.
        **options: of :class:`gia.data.datasets.Dataset`.

    Raises:
        ValueError: if an option is out of range.
    """

    target_names: tuple[str, ...] = ()
    framed = True  # sequences have an end, which a language model predicts too

    def __init__(
        self,
        *,
        tokenizer: Tokenizer | None = None,
        alphabet: str = AMINO_ACIDS,
        max_length: int = 1024,
        append_label: bool = False,
        target_level: str = "graph",
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if target_level not in LEVELS:
            known = ", ".join(LEVELS)
            raise ValueError(f"data.target_level must be one of {known}, got {target_level!r}")
        shortest = 4 if append_label else 1  # <bos> s | <label>
        if max_length < shortest:
            raise ValueError(f"data.max_length must be at least {shortest}, got {max_length}")
        self.tokenizer = tokenizer or CharTokenizer(alphabet, uppercase=True)
        self.max_length, self.append_label = max_length, append_label
        self.target_level = target_level
        self.labels: list[str] = []

    def records(self) -> list[Record]:
        """All sequences of the source, in its order."""
        raise NotImplementedError

    def notes(self) -> list[str]:
        """What is to be known of how the records were read, a sentence each."""
        return []

    def load(self, labelled: bool = True) -> Items:
        """The sequences that are not empty, in the source's order.

        Raises:
            OSError, ImportError: if the source cannot be read.
            ValueError: if it cannot be used, or a class is missing that is to be appended.
        """
        records, predicts_next = self.records(), self.target_type == "next_token"
        frame = self._frame(records) if predicts_next else Chain()
        items = Items(
            graphs=[],
            target_names=[] if predicts_next else list(self.target_names),
            level="node" if predicts_next else self.target_level,
            kind="sequence",
            num_rows=len(records),
        )
        residues = Residues(self.tokenizer)
        letters = Letters(self.tokenizer)
        for row, written in progress(enumerate(records), len(records), "reading sequences"):
            record = self._cleaned(written, residues)
            if not record.sequence:
                reason = "holds no residue" if written.sequence.strip() else "is empty"
                items.rejected.append(Rejected(row, record.name, f"{NO_SEQUENCE}{reason}"))
                continue
            letters.add(record.name, record.sequence)
            data = self._graph(row, record)
            items.graphs.append(frame(data))
            items.cells.append(record.cells)
        letters.tell(items)
        told = alphabet_notes(letters.counts, self.tokenizer)
        items.notes = [*self.notes(), *residues.notes(), *told]
        return items

    def digest(self) -> str:
        """Of the sequences and the options."""
        options = [self.tokenizer.to_config(), self.max_length, self.append_label]
        options += [self.target_names, self.target_level, self.notes()]
        options += [self.target_type] if self.target_level == "node" else []
        return digest("sequences", options, [vars(record) for record in self.records()])

    def with_file(self, path: Any, **columns: Any) -> Sequences:
        """The sequences of a table, by default out of its column ``sequence``."""
        targets = None if self.target_type == "next_token" else list(self.target_names) or None
        mine = {"sequence_column": "sequence", "target_column": targets}
        return Sequences(path, **mine | self.options | columns)

    @property
    def options(self) -> dict[str, Any]:
        return super().options | {
            "tokenizer": self.tokenizer,
            "max_length": self.max_length,
            "append_label": self.append_label,
            "target_level": self.target_level,
        }

    def _cleaned(self, record: Record, residues: Residues) -> Record:
        sequence, cells = residues(record.sequence), record.cells
        if self.target_level == "node" and sequence != record.sequence:
            letters = self.target_type == "classification"
            cells = [residues.aligned(cell, record.sequence, letters) for cell in cells]
        return replace(record, sequence=sequence, cells=cells)

    def _graph(self, row: int, record: Record) -> Data:
        symbols = self.tokenizer.encode(record.sequence)
        appended = self.append_label and self.target_type == "next_token"
        kept = symbols[: self.max_length - 3 if appended else self.max_length]
        data = Data(
            token=kept,
            seq_pos=torch.arange(len(kept)),
            num_nodes=len(kept),
            name=record.name,
            row=row,
            # As it is seen: not its case, its class, nor what was cut.
            text=self.tokenizer.decode(kept, specials=False),
            cut=len(symbols) - len(kept),
        )
        if appended:
            data.label = record.label
        return data

    def _frame(self, records: list[Record]) -> NextToken:
        if not self.append_label:
            bos, eos = self.tokenizer.bos, self.tokenizer.eos
            if bos is None or eos is None:
                raise ValueError(
                    "a sequence is framed by a token that begins it and one that ends it, but "
                    f"{self.tokenizer} has not both: use data=text or data=instruct"
                )
            return NextToken(self.max_length, bos=bos, eos=eos)
        self.labels = sorted({record.label for record in records if record.label})
        names = [SEPARATOR, *map(label_token, self.labels)]
        known = set(self.tokenizer.symbols)  # bytes, for one, have a separator already
        self.tokenizer = self.tokenizer.with_tokens([name for name in names if name not in known])
        separator, *labels = map(self.tokenizer.token_id, names)
        labels = dict(zip(self.labels, labels, strict=True))
        return NextToken(self.max_length, separator=separator, labels=labels)


class Sequences(TableDataset, SequenceDataset):
    """The sequences of a table.

    Args:
        path: the file, see :func:`gia.data.columns.read_columns`.
        sequence_column: the column that holds the sequences.
        target_column: the column that holds the target, or a list of them.
        label_column: the column that holds the classes that ``append_label`` appends.
        **options: of :class:`gia.data.datasets.SequenceDataset` and
            :class:`gia.data.datasets.TableDataset`.
    """

    in_parts = True

    def __init__(
        self,
        path: str | PathLike,
        sequence_column: str,
        target_column: str | Iterable[str] | None = None,
        label_column: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(path, target_column, **options)
        self.sequence_column, self.label_column = sequence_column, label_column

    @property
    def target_names(self) -> tuple[str, ...]:
        return tuple(self.target_column)

    def records(self) -> list[Record]:
        """All rows in the file's order.

        Raises:
            OSError: if the file cannot be read.
            ValueError: if it is no table or lacks a named column.
        """
        if self.target_type == "next_token" and self.target_column:
            raise ValueError(
                f"data.target_column={self.target_column} is to be predicted, but a language model "
                "predicts the next symbol: use data=labelled_csv with the same columns"
            )
        self.check(self.labelled, "sequence_column", "label_column")
        cells = zip(
            self.columns.labels(self.name_column),
            self.columns.cells(self.sequence_column),
            self.columns.cells(self.label_column),
            self.targets(),
            strict=True,
        )
        return [Record(name, text, label or None, raw) for name, text, label, raw in cells]

    def with_file(self, path: Any, **columns: Any) -> Sequences:
        """The sequences of another file, in the same columns or in others."""
        mine = {
            "sequence_column": self.sequence_column,
            "target_column": self.target_column,
            "aliases": self.aliases,
        }
        return Sequences(path, **mine | self.options | columns)
