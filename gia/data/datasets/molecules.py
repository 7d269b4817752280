"""Molecules: SMILES of a table as graphs of atoms and bonds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from os import PathLike
from typing import Any

from torch_geometric.data import Data

from gia.data.cache import digest
from gia.data.chemistry import identity, require_rdkit, without_maps
from gia.data.columns import column_names
from gia.data.components import join_components
from gia.data.computed_targets import KINDS, compute_targets
from gia.data.datasets.base import check_choice
from gia.data.datasets.records import Records
from gia.data.datasets.sequences import Record
from gia.data.datasets.table import TableDataset
from gia.data.datasets.with_sequences import ATOM, with_sequences
from gia.data.items import Items, Rejected
from gia.data.progress import progress
from gia.data.targets import shortened
from gia.data.tokenizer import AMINO_ACIDS, CharTokenizer, Tokenizer

# What stands in columns instead of SMILES: how it looks, its name, and how to go on. The ``->`` of
# a dative bond is no arrow of a reaction.
OTHERS = (
    (
        lambda cell: cell.replace("->", "-").count(">") == 2,
        "reactions",
        "give a column of their product or of another molecule",
    ),
    (lambda cell: cell.startswith("InChI="), "InChIs", "convert them with rdkit"),
)


class Molecules(TableDataset):
    """The molecules of a table with a column of SMILES, or with several of them.

    Several molecules of a row, such as a solute and its solvent, are one graph without edges
    between them, whose ``component`` says which is which; see
    :func:`gia.data.join_components`. A sequence may stand beside them, as the last part.

    Args:
        path: the file, see :func:`gia.data.columns.read_columns`.
        smiles_column: the column that holds the SMILES, or a list of them, whose order counts.
        target_column: the column that holds the target, or a list of them.
        computed_targets: ``"rdkit_2d"``, descriptors of the molecules as targets in place of
            columns.
        sequence_column: a column of sequences beside the molecules.
        alphabet, max_length, tokenizer: of the sequences, as of
            :class:`gia.data.SequenceDataset`.
        **options: of :class:`gia.data.datasets.TableDataset`.
    """

    in_parts = True

    def __init__(
        self,
        path: str | PathLike,
        smiles_column: str | Iterable[str],
        target_column: str | Iterable[str] | None = None,
        computed_targets: str | None = None,
        sequence_column: str | None = None,
        alphabet: str = AMINO_ACIDS,
        max_length: int = 1024,
        tokenizer: Tokenizer | None = None,
        **options: Any,
    ) -> None:
        super().__init__(path, target_column, **options)
        check_choice("computed_targets", computed_targets, (*KINDS, None))
        if computed_targets is not None and self.target_column:
            raise ValueError(
                f"data.computed_targets={computed_targets} makes the targets: give "
                "data.target_column=null with it"
            )
        columns = column_names(smiles_column)
        if not columns:
            raise ValueError("data.smiles_column names no column: give one, or several, [a,b]")
        # One is no list, so that graphs are found again that are kept already.
        self.smiles_column = columns[0] if len(columns) == 1 else columns
        self.computed_targets, self.sequence_column = computed_targets, sequence_column
        self.max_length, self.tokenizer = max_length, None
        if sequence_column is not None:
            letters = CharTokenizer(alphabet, uppercase=True)
            self.tokenizer = tokenizer or letters.with_tokens([ATOM])

    def load(self, labelled: bool = True) -> Items:
        """The molecules that rdkit accepts, in the file's order, with the others' row and reason.

        Args:
            labelled: the target columns must exist; otherwise they may be absent.

        Raises:
            ImportError: if rdkit is not installed.
            OSError: if the file cannot be read.
            ValueError: if it is no table or lacks a named column.
        """
        computed = self._computed if labelled else None
        self.check(labelled and computed is None, "smiles_column", "sequence_column")
        columns = column_names(self.smiles_column)
        smiles = [self.columns.cells(column) for column in columns]
        for column, own in zip(columns, smiles, strict=True):
            check_molecules(own, f"data.path={self.path}", column)
        names = self.columns.labels(self.name_column)
        if len(columns) == 1:
            items = molecule_items(*smiles, names, self.targets(), self.target_column)
        else:
            rows, read = list(zip(*smiles, strict=True)), partial(to_joined_graph, columns=columns)
            items = molecule_items(rows, names, self.targets(), self.target_column, read)
            items.components = dict.fromkeys(columns, "smiles")
        if self.sequence_column is not None:
            items = self._with_sequences(items, names)
        return items if computed is None else compute_targets(items, computed)

    def _with_sequences(self, items: Items, names: Sequence[str]) -> Items:
        column, molecules = str(self.sequence_column), column_names(self.smiles_column)
        if column in molecules:
            raise ValueError(
                f"data.sequence_column and data.smiles_column both name {column!r}: it holds one "
                "or the other"
            )
        parts = dict.fromkeys(molecules, "smiles") | {column: "sequence"}
        cells = zip(names, self.columns.cells(column), strict=True)
        sequences = Records(
            [Record(name, cell) for name, cell in cells],
            tokenizer=self.tokenizer,
            max_length=self.max_length,
            target_type=None,
        )
        return with_sequences(items, sequences.load(), self.tokenizer, parts)

    @property
    def _computed(self) -> str | None:
        return self.computed_targets if self.target_type == "regression" else None

    def digest(self) -> str:
        """Of the table and the names of its columns."""
        options = [self.smiles_column, self.target_column, self.name_column, self.missing]
        options += [] if self._computed is None else [self._computed]
        if self.tokenizer is not None:
            options += [str(self.sequence_column), self.tokenizer.to_config(), self.max_length]
        return digest("molecules", options, self.targets(), self.table())

    def with_file(self, path: str, **columns: Any) -> Molecules:
        """The molecules of another file, in the same columns or in others."""
        mine = {
            "smiles_column": self.smiles_column,
            "sequence_column": self.sequence_column,
            "tokenizer": self.tokenizer,
            "max_length": self.max_length,
            "target_column": self.target_column,
            "aliases": self.aliases,
            **self.options,
        }
        return Molecules(path, **mine | columns)


def check_molecules(smiles: Sequence[str], file: str, column: str) -> None:
    """See that a column does not hold something else throughout.

    Raises:
        ValueError: naming what it holds, in one line.
    """
    cells = [(row, cell) for row, cell in enumerate(smiles) if cell]
    for is_other, what, way in OTHERS:
        if cells and all(is_other(cell) for _, cell in cells):
            row, cell = cells[0]
            raise ValueError(
                f"{file}: the {len(cells):,} cells of {column!r} are {what}, as row {row}, "
                f"{shortened(cell)}, and not the SMILES of molecules: {way}"
            )


def molecule_items(
    smiles: Sequence[Any],
    names: Sequence[str],
    cells: Sequence[list[str]],
    target_names: Sequence[str],
    read: Callable[[Any], Data] | None = None,
) -> Items:
    """Molecules as graphs with the columns of atoms and bonds of PyG's ``from_smiles``.

    Args:
        smiles: of n rows.
        names: of n rows.
        cells: their raw targets.
        target_names: of each target.
        read: from the SMILES of a row to its graph; :func:`to_graph` if left out.

    Raises:
        ImportError: if rdkit is not installed.
    """
    from torch_geometric.utils.smiles import e_map, x_map

    items = Items(
        graphs=[],
        cells=[],
        target_names=list(target_names),
        node_categories=[len(values) for values in x_map.values()],
        edge_categories=[len(values) for values in e_map.values()],
        kind="smiles",
        num_rows=len(smiles),
    )
    read = to_graph if read is None else read
    rows = enumerate(zip(smiles, names, cells, strict=True))
    for row, (text, name, raw) in progress(rows, len(smiles), "reading molecules"):
        try:
            data = read(text)
        except ValueError as error:
            items.rejected.append(Rejected(row, name, str(error)))
            continue
        data.name, data.row = name, row
        items.graphs.append(data)
        items.cells.append(raw)
    return items


def to_graph(smiles: str) -> Data:
    """A molecule as a graph without atom maps, with its identity as ``text``.

    See :func:`gia.data.chemistry.identity` for what makes two molecules one.

    Shapes:
        x: [N, 9], int64
        edge_index: [2, E]
        edge_attr: [E, 3], int64

    Raises:
        ImportError: if rdkit is not installed.
        ValueError: if rdkit rejects it, with the reason.
    """
    chem = require_rdkit()
    from rdkit.rdBase import BlockLogs
    from torch_geometric.utils import from_rdmol

    if not smiles.strip():
        raise ValueError("the SMILES is empty")
    for is_other, what, _ in OTHERS:
        if is_other(smiles):
            raise ValueError(f"{shortened(smiles)} is one of {what}, not the SMILES of a molecule")
    with BlockLogs():  # the reason goes into the error instead
        molecule = chem.MolFromSmiles(smiles)
        if molecule is None:
            raise ValueError(f"rdkit rejects {smiles!r}: {_reason(smiles)}")
        if molecule.GetNumAtoms() == 0:
            raise ValueError(f"{smiles!r} has no atom")
        molecule = without_maps(molecule)
        try:
            data = from_rdmol(molecule)
        except ValueError as error:
            raise ValueError(f"an atom of {smiles!r} is beyond PyG's features: {error}") from error
        data.text = identity(molecule)
    return data


def to_joined_graph(smiles: Sequence[str], columns: Sequence[str]) -> Data:
    """The molecules of a row as one graph, see :func:`gia.data.join_components`.

    Args:
        smiles: of each molecule.
        columns: where they stand, for errors.

    Raises:
        ImportError: if rdkit is not installed.
        ValueError: if one is missing or rdkit rejects it, with column and reason of each.
    """
    graphs, reasons = [], []
    for column, text in zip(columns, smiles, strict=True):
        try:
            graphs.append(to_graph(text))
        except ValueError as error:
            reasons.append(f"{column!r}: {error}")
    if reasons:
        raise ValueError("; ".join(reasons))
    return join_components(graphs)


def _reason(smiles: str) -> str:
    chem = require_rdkit()
    molecule = chem.MolFromSmiles(smiles, sanitize=False)
    if molecule is None:
        return "it is not SMILES"
    try:
        chem.SanitizeMol(molecule)
    except ValueError as error:  # rdkit's own errors are ValueErrors
        return str(error).strip()
    return "it cannot be made sense of"
