"""Proteins with structure: the chains of PDB and mmCIF files as graphs of contacts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any

from torch_geometric.data import Data

from gia.data.alphabets import Letters
from gia.data.cache import digest, package_version
from gia.data.columns import Columns, column_names, joined, read_columns, table_of_files
from gia.data.datasets.sequences import LEVELS
from gia.data.datasets.table import TableDataset
from gia.data.files import expand
from gia.data.items import Items, Rejected
from gia.data.progress import progress
from gia.data.proteins import ContactEdges, chain_graph, require_gemmi
from gia.data.structure_files import (
    find_structure,
    is_structure,
    read_files,
    stamp,
    stem,
    structures_in,
)
from gia.data.tokenizer import AMINO_ACIDS, CharTokenizer, Tokenizer

CHAIN = "chain"  # the column of chains, where none is named
B_FACTOR = "b_factor"  # the target of residues that the files have themselves
# What is told of the chains, by what was counted; a note names the first that has it.
TOLD = {
    "several models": "chains are in several models, as of NMR: the first model is read",
    "other chains": "chains are no proteins (nucleic acids, ligands or water) and are left out",
    "chains without CA": "chains have no CA atom and are left out",
    "missing residues": "residues have no coordinates and are left out: seq_pos counts them",
    "residues without CA": "residues have no CA atom and are left out",
    "residues without CB": "residues have no CB atom: their pos is that of CA, as of glycine",
}
MODIFIED = "modified "  # begins what is counted of a modified residue


class ProteinStructures(TableDataset):
    """Chains of proteins as graphs, see :func:`gia.data.proteins.chain_graph`.

    A row is a chain: of a file with several chains there is one for each, with the file's targets.

    Args:
        path: a folder of structures, with all below it; files of structures, a list of them, or a
            pattern such as ``pdb/*.cif.gz``; a table, or several with the same columns.
        structure_column: the column of a table that holds the names of files beside it, with or
            without their ending.
        chain_column: the column that names the chain, in mmCIF as the authors do; where there is no
            such column, or its cell is empty, all chains of the file are read.
        target_column: the column that holds the target, or a list of them; for
            ``target_level="node"`` a cell has one value for each residue, and ``b_factor`` is that
            of each CA.
        chains: the only chains that are read, of any file; None reads all.
        cutoff, num_radial: of :class:`gia.data.proteins.ContactEdges`.
        max_length: the most residues of a chain; what is cut is counted.
        tokenizer: which residues there are; left out, the characters of ``alphabet``.
        alphabet: the residues' letters, by default of the 20 amino acids.
        target_level: whose targets they are, ``"graph"`` or ``"node"``.
        **options: of :class:`gia.data.datasets.TableDataset`.

    Raises:
        ValueError: if an option is out of range.
    """

    def __init__(
        self,
        path: str | PathLike | Iterable[str | PathLike],
        structure_column: str = "structure",
        chain_column: str = CHAIN,
        target_column: str | Iterable[str] | None = None,
        *,
        chains: str | Iterable[str] | None = None,
        cutoff: float = 8.0,
        num_radial: int = 16,
        max_length: int = 1024,
        tokenizer: Tokenizer | None = None,
        alphabet: str = AMINO_ACIDS,
        target_level: str = "graph",
        **options: Any,
    ) -> None:
        super().__init__(path, target_column, **options)
        if target_level not in LEVELS:
            known = ", ".join(LEVELS)
            raise ValueError(f"data.target_level must be one of {known}, got {target_level!r}")
        if max_length < 1:
            raise ValueError(f"data.max_length must be at least 1, got {max_length}")
        self.structure_column, self.chain_column = str(structure_column), str(chain_column)
        self.chains = column_names(chains)
        self.edges = ContactEdges(cutoff, num_radial)
        self.max_length, self.target_level = max_length, target_level
        self.tokenizer = tokenizer or CharTokenizer(alphabet, uppercase=True)

    @cached_property
    def columns(self) -> Columns:
        """The table with a row for each chain, or for a file without any; read when it is first
        asked for, with the structures."""
        table = self.source
        rows, chains = zip(*self._rows, strict=True)
        values = {name: [cells[row] for row in rows] for name, cells in table.values.items()}
        asked = table.cells(self.chain_column)
        values[self.chain_column] = [
            chain.name if isinstance(chain, Data) else asked[row]
            for row, chain in zip(rows, chains, strict=True)
        ]
        if self._says_factors:
            values[B_FACTOR] = [
                " ".join(f"{value:g}" for value in chain.b_factor.tolist())
                if isinstance(chain, Data)
                else ""
                for chain in chains
            ]
        return Columns(table.path, values, table.notes, table.separator, table.missing)

    @cached_property
    def source(self) -> Columns:
        """The table as it is written, or the files as one.

        Raises:
            OSError: if there is none.
            ValueError: if it is no table, or a folder holds no structure.
        """
        named = [Path(str(file)).expanduser() for file in expand(self.path)]
        files = [file for place in named for file in structures_in(place)]
        if all(map(is_structure, files)):
            self._folders = [Path()] * len(files)
            table = table_of_files(self.path, self.structure_column, files)
            return self._with_factors(table)
        tables = [read_columns(file, self.url, self.missing) for file in files]
        places = zip(files, tables, strict=True)
        self._folders = [file.parent for file, table in places for _ in range(len(table))]
        table = joined(tables)
        for name, other in self.aliases.items():
            table.rename(str(other), str(name))
        return self._with_factors(table)

    def _with_factors(self, table: Columns) -> Columns:
        """The table with a column for the B factors, where they are targets and it has none."""
        wanted = self.target_level == "node" and B_FACTOR in self.target_column
        self._says_factors = wanted and B_FACTOR not in table.values
        if self._says_factors:
            table.values[B_FACTOR] = [""] * len(table)
        return table

    def load(self, labelled: bool = True) -> Items:
        """The chains that can be read, in the table's order, with the others' row and reason.

        Raises:
            ImportError: if gemmi or Biopython is not installed.
            OSError: if a table cannot be read.
            ValueError: if it is no table or lacks a named column.
        """
        require_gemmi()
        # Another file for a trained model need not have the chains' column.
        named = labelled and self.chain_column != CHAIN
        self.check(labelled, "structure_column", *(["chain_column"] if named else []))
        names, targets = self._names, self.targets()
        items = Items(
            graphs=[],
            target_names=list(self.target_column),
            level=self.target_level,
            kind="sequence",
            num_rows=len(names),
        )
        letters = Letters(self.tokenizer)
        chains = progress(self._rows, len(names), "finding contacts")
        for row, (_, chain) in enumerate(chains):
            if isinstance(chain, str):
                items.rejected.append(Rejected(row, names[row], chain))
                continue
            try:
                graph = chain_graph(chain, self.edges, self.tokenizer, self.max_length)
            except ValueError as error:
                items.rejected.append(Rejected(row, names[row], str(error)))
                continue
            graph.name, graph.row = names[row], row
            letters.add(graph.name, chain.letters)
            items.graphs.append(graph)
            items.cells.append(targets[row])
        letters.tell(items)
        items.notes = self._notes()
        return items

    def digest(self) -> str:
        """Of the files, the targets and the options; a file is known by its name, size and time."""
        options = [self.structure_column, self.chain_column, self.target_column, self.name_column]
        options += [self.chains, self.missing, self.target_level, self.max_length, self.edges]
        options += [self.tokenizer.to_config(), package_version("biopython")]
        made_by, files = package_version("gemmi"), list(map(stamp, self._files))
        values = list(self.source.values.items())
        return digest("protein structures", made_by, options, values, files)

    def with_file(self, path: Any, **columns: Any) -> ProteinStructures:
        """The structures of other files, in the same columns or in others."""
        mine = {
            "structure_column": self.structure_column,
            "chain_column": self.chain_column,
            "target_column": self.target_column,
            "chains": self.chains,
            "cutoff": self.edges.cutoff,
            "num_radial": self.edges.num_radial,
            "max_length": self.max_length,
            "tokenizer": self.tokenizer,
            "target_level": self.target_level,
            "aliases": self.aliases,
            **self.options,
        }
        return ProteinStructures(path, **mine | columns)

    @cached_property
    def _files(self) -> list[Path | None]:
        """The file of each row of the table; None where there is none of its name."""
        cells = self.source.cells(self.structure_column)
        return [
            find_structure(cell, folder) for cell, folder in zip(cells, self._folders, strict=True)
        ]

    @cached_property
    def _rows(self) -> list[tuple[int, Any]]:
        """The row of the table and the chain, or why there is none, of each row."""
        files = list(dict.fromkeys(file for file in self._files if file is not None))
        reading = progress(read_files(files), len(files), "reading structures")
        read = dict(zip(files, reading, strict=True))
        cells, asked = map(self.source.cells, (self.structure_column, self.chain_column))
        rows: list[tuple[int, Any]] = []
        for row, (file, cell, chain) in enumerate(zip(self._files, cells, asked, strict=True)):
            if file is None:
                told = f"there is no file {cell!r} in {self._folders[row]}"
                rows.append((row, told if cell else "it names no file"))
            else:
                chosen = _chosen(read[file], [chain] if chain else self.chains)
                rows += [(row, found) for found in chosen]
        return rows

    @cached_property
    def _names(self) -> list[str]:
        """Of each row: its own, or the file's, and the chain's where a row of the table has
        several."""
        own = self.source.cells(self.name_column)
        several = Counter(row for row, _ in self._rows)
        names = []
        for place, (row, chain) in enumerate(self._rows):
            file = self._files[row]
            name = own[row] or (stem(file) if file else f"row_{place}")
            if isinstance(chain, Data) and chain.name and (several[row] > 1 or not own[row]):
                name = f"{name}_{chain.name}"
            names.append(name)
        return names

    def _notes(self) -> list[str]:
        """What was counted of the chains that are read."""
        total: Counter[str] = Counter()
        first: dict[str, str] = {}
        for (_, chain), name in zip(self._rows, self._names, strict=True):
            if isinstance(chain, Data):
                total.update(chain.counts)
                first = {key: name for key, number in chain.counts.items() if number} | first
        counted = {key: number for key, number in total.items() if number}
        notes = [
            f"{counted[key]:,} {what} (first: {first[key]})"
            for key, what in TOLD.items()
            if key in counted
        ]
        modified = Counter(
            {key.removeprefix(MODIFIED): n for key, n in counted.items() if MODIFIED in key}
        )
        if modified:
            listed = ", ".join(f"{name} {n:,}" for name, n in modified.most_common(5))
            notes.append(
                f"{modified.total():,} modified residues are read as what they are made of "
                f"({listed})"
            )
        return notes


def _chosen(read: list[Data] | str, chains: Sequence[str]) -> list[Data | str]:
    """The chains of these names out of a file, or why there is none; all where none is named."""
    if isinstance(read, str):
        return [read]
    found: list[Data | str] = [chain for chain in read if not chains or chain.name in chains]
    if found:
        return found
    names = ", ".join(chain.name or "one without a name" for chain in read)
    return [f"it has no chain {' or '.join(map(repr, chains))} of amino acids, but {names}"]
