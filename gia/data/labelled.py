"""Sequences with a target, as chains of residues."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property
from os import PathLike
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import Data

from gia.data.cache import digest
from gia.data.graph_table import GraphTable, Rejected, progress
from gia.data.peptides import Peptides
from gia.data.table_source import TableSource
from gia.data.tokenizer import Tokenizer

LEVELS = ("graph", "node")


class LabelledSequences(TableSource):
    """The sequences of a table, with targets of the whole or of each residue.

    Args:
        path: the file, see :func:`gia.data.columns.read_columns`.
        sequence_column: the column that holds the sequences.
        tokenizer: which symbols there are.
        target_column: the column that holds the target, or a list of them.
        target_level: ``"graph"``, or ``"node"``: a cell holds one letter a residue, or for
            regression one number a residue.
        max_length: the most residues of a sequence; what is cut is counted.
        **options: of :class:`gia.data.table_source.TableSource`.

    Raises:
        ValueError: if an option is out of range.
    """

    def __init__(
        self,
        path: str | PathLike,
        sequence_column: str,
        tokenizer: Tokenizer,
        target_column: str | Iterable[str] | None = None,
        target_level: str = "graph",
        max_length: int = 1024,
        **options: Any,
    ) -> None:
        super().__init__(path, target_column, **options)
        _check(target_level, max_length)
        self.sequence_column, self.tokenizer = sequence_column, tokenizer
        self.target_level, self.max_length = target_level, max_length

    def load(self, labelled: bool = True) -> GraphTable:
        """The sequences in the file's order.

        Args:
            labelled: the target columns must exist; otherwise they may be absent.

        Raises:
            OSError: if the file cannot be read.
            ValueError: if it is no table or lacks a named column.
        """
        self.check(labelled, "sequence_column")
        table = sequence_table(
            self.columns.cells(self.sequence_column),
            self.columns.labels(self.name_column),
            self.targets(),
            self.target_column,
            self.tokenizer,
            self.max_length,
            self.target_level,
        )
        return self.with_parts(table)

    def digest(self) -> str:
        """Of the table and the options."""
        options = [self.sequence_column, self.target_column, self.name_column, self.split_column]
        options += [self.tokenizer.to_config(), self.target_level, self.max_length]
        return digest("sequences", options, self.table())

    def with_file(self, path: str, **columns: Any) -> LabelledSequences:
        """The sequences of another file, in the same columns or in others."""
        mine = {
            "sequence_column": self.sequence_column,
            "tokenizer": self.tokenizer,
            "target_column": self.target_column,
            "target_level": self.target_level,
            "max_length": self.max_length,
            "aliases": self.aliases,
        }
        return LabelledSequences(path, **mine | columns)


class LabelledPeptides:
    """The peptides of :class:`gia.data.Peptides`: antimicrobial or other.

    Args:
        tokenizer: which symbols there are.
        max_length: the most residues of a peptide; what is cut is counted.

    Raises:
        ValueError: if ``max_length`` is out of range.
    """

    target = "activity"

    def __init__(self, tokenizer: Tokenizer, max_length: int = 1024) -> None:
        _check("graph", max_length)
        self.tokenizer, self.max_length = tokenizer, max_length

    def load(self, labelled: bool = True) -> GraphTable:
        """All peptides in the table's order.

        Raises:
            ImportError: if modlamp is not installed.
        """
        names, sequences, labels = zip(*self._rows, strict=True)
        cells = [[label] for label in labels]
        return sequence_table(
            sequences, names, cells, [self.target], self.tokenizer, self.max_length
        )

    def digest(self) -> str:
        """Of the peptides and the options."""
        return digest("peptides", self.tokenizer.to_config(), self.max_length, self._rows)

    def table(self) -> tuple[list[str], list[dict[str, str]]]:
        """The name, sequence and class of each peptide."""
        columns = ["name", "sequence", self.target]
        return columns, [dict(zip(columns, row, strict=True)) for row in self._rows]

    def with_file(self, path: str, **columns: Any) -> LabelledSequences:
        """The sequences of a table, by default out of its column ``sequence``."""
        mine = {
            "sequence_column": "sequence",
            "tokenizer": self.tokenizer,
            "target_column": self.target,
            "max_length": self.max_length,
        }
        return LabelledSequences(path, **mine | columns)

    @cached_property
    def _rows(self) -> list[tuple[str, str, str]]:
        return [(record.name, record.sequence, record.label) for record in Peptides().load()]


def sequence_table(
    sequences: Sequence[str],
    names: Sequence[str],
    cells: Sequence[list[str]],
    target_names: Sequence[str],
    tokenizer: Tokenizer,
    max_length: int,
    level: str = "graph",
) -> GraphTable:
    """Sequences as graphs: each residue is joined to its neighbours, in both directions.

    Args:
        sequences: n strings.
        names: of each of them.
        cells: their raw targets.
        target_names: of each target.
        tokenizer: which symbols there are.
        max_length: the most residues of a graph.
        level: ``"graph"`` or ``"node"``.
    """
    table = GraphTable(
        graphs=[],
        cells=[],
        target_names=list(target_names),
        node_categories=[tokenizer.vocab_size],
        ordered=True,
        level=level,
        kind="sequence",
    )
    unknown: Counter[str] = Counter()
    rows = enumerate(zip(sequences, names, cells, strict=True))
    for row, (sequence, name, raw) in progress(rows, len(sequences), "reading sequences"):
        if not sequence:
            table.rejected.append(Rejected(row, name, "the sequence is empty"))
            continue
        unknown.update(tokenizer.count_unknown(sequence))
        symbols = tokenizer.encode(sequence)
        kept = symbols[:max_length]
        table.graphs.append(
            Data(
                x=kept.view(-1, 1),
                edge_index=chain(len(kept)),
                seq_pos=torch.arange(len(kept)),
                name=name,
                row=row,
                # As the model sees it: not its case, nor what was cut.
                text=tokenizer.decode(kept, specials=False),
            )
        )
        table.cut.append(len(symbols) - len(kept))
        table.cells.append(raw)
    table.unknown = dict(sorted(unknown.items()))
    return table


def chain(length: int) -> Tensor:
    """Edges between neighbours, in both directions, sorted by source.

    Shapes:
        returns: [2, 2 (length - 1)]
    """
    left = torch.arange(length - 1)
    edges = torch.cat([torch.stack([left, left + 1]), torch.stack([left + 1, left])], 1)
    return edges[:, (edges[0] * length + edges[1]).argsort()]


def _check(target_level: str, max_length: int) -> None:
    if target_level not in LEVELS:
        known = ", ".join(LEVELS)
        raise ValueError(f"data.target_level must be one of {known}, got {target_level!r}")
    if max_length < 1:
        raise ValueError(f"data.max_length must be at least 1, got {max_length}")
