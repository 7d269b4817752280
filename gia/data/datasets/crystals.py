"""Crystals: structures of a table, a folder or files as graphs of neighbours."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property, partial
from os import PathLike
from pathlib import Path
from typing import Any

from gia.data.ase_files import is_ase, read_ase
from gia.data.cache import digest, package_version, processed
from gia.data.columns import Columns, joined, read_columns, table_of_files, word_set
from gia.data.crystals import UNREADABLE, Atoms, Neighbours, crystal_graph, read_atoms
from gia.data.datasets.table import TableDataset
from gia.data.elements import require_pymatgen
from gia.data.files import expand, read_text
from gia.data.items import Items, Rejected
from gia.data.parallel import on_all_cores
from gia.data.progress import progress

STRUCTURES = (".cif", ".vasp", ".poscar", ".json")
PROPERTIES = "id_prop.csv"  # of a folder as CGCNN has it: no header, an id and its targets
CHUNK = 1000  # structures that are kept together, so that an interrupted reading goes on
LINE_BREAKS = "line breaks in a cell"  # what a table is warned of, and CIF is full of
FEW = 300  # are read by this process alone: in others that takes seconds to begin


class Crystals(TableDataset):
    """Crystals as graphs, see :func:`gia.data.crystals.crystal_graph`.

    Args:
        path: a table, or several with the same columns; a folder of structures, with their targets
            in ``id_prop.csv`` or without any; files of structures, or a pattern such as
            ``cifs/*.cif``; a database of ASE's or its extended XYZ, see
            :func:`gia.data.ase_files.read_ase`.
        structure_column: the column of a table that holds the structures, as CIF, POSCAR or
            pymatgen's JSON, or the names of files beside it.
        target_column: the column that holds the target, or a list of them; of ``id_prop.csv`` they
            are called ``target``, or ``target_0`` and so on where there are several.
        cutoff, max_neighbors, num_radial, num_angular: of :class:`gia.data.crystals.Neighbours`.
        **options: of :class:`gia.data.datasets.TableDataset`.

    Raises:
        ValueError: if an option is out of range.
    """

    def __init__(
        self,
        path: str | PathLike | Iterable[str | PathLike],
        structure_column: str = "structure",
        target_column: str | Iterable[str] | None = None,
        *,
        cutoff: float = 6.0,
        max_neighbors: int = 12,
        num_radial: int = 32,
        num_angular: int = 0,
        **options: Any,
    ) -> None:
        super().__init__(path, target_column, **options)
        self.structure_column = structure_column
        self.neighbours = Neighbours(cutoff, max_neighbors, num_radial, num_angular)
        self._folders: list[Path] = []  # of each row's table

    @cached_property
    def columns(self) -> Columns:
        """The table, or the structures of a folder as one, read when it is first asked for."""
        files = [Path(str(file)).expanduser() for file in expand(self.path)]
        if len(files) == 1 and files[0].is_dir():
            columns = self._of_folder(files[0])
        elif all(_is_structure(file) for file in files):
            columns = self._of_files(files)
        else:
            tables = [self._of_table(file) for file in files]
            # Names of files are of those beside their own table.
            places = zip(files, tables, strict=True)
            self._folders = [file.parent for file, table in places for _ in range(len(table))]
            columns = joined(tables)
            columns.notes = [note for note in columns.notes if LINE_BREAKS not in note]
        for name, other in self.aliases.items():
            columns.rename(str(other), str(name))
        return columns

    def load(self, labelled: bool = True) -> Items:
        """The crystals that can be read, in the table's order, with the others' row and reason.

        Raises:
            ImportError: if pymatgen is not installed.
            OSError: if a file cannot be read.
            ValueError: if it is no table or lacks a named column.
        """
        require_pymatgen()
        self.check(labelled, "structure_column")
        names, targets = self.columns.labels(self.name_column), self.targets()
        items = Items(
            graphs=[], target_names=list(self.target_column), kind="crystal", num_rows=len(names)
        )
        alone = []
        rows = enumerate(self._graphs())
        for row, graph in progress(rows, len(names), "reading crystals"):
            if isinstance(graph, str):
                items.rejected.append(Rejected(row, names[row], graph))
                continue
            graph.name, graph.row = names[row], row
            if len(graph.edge_index[1].unique()) < graph.num_nodes:
                alone.append(row)
            items.graphs.append(graph)
            items.cells.append(targets[row])
        if alone:
            items.notes.append(
                f"{len(alone):,} crystals have atoms without a neighbour within "
                f"data.cutoff={self.neighbours.cutoff} Angstrom, the first is row {alone[0]}"
            )
        return items

    def digest(self) -> str:
        """Of the structures, the targets and the options."""
        options = [self.structure_column, self.target_column, self.name_column, self.missing]
        made_by = package_version("pymatgen")
        return digest("crystals", made_by, options, self.neighbours, self.targets(), self._texts)

    def with_file(self, path: Any, **columns: Any) -> Crystals:
        """The crystals of other files, in the same columns or in others."""
        mine = {
            "structure_column": self.structure_column,
            "target_column": self.target_column,
            "cutoff": self.neighbours.cutoff,
            "max_neighbors": self.neighbours.max_neighbors,
            "num_radial": self.neighbours.num_radial,
            "num_angular": self.neighbours.num_angular,
            "aliases": self.aliases,
            **self.options,
        }
        return Crystals(path, **mine | columns)

    @cached_property
    def _texts(self) -> list[str]:
        """The structure of each row, read from its file where the cell names one."""
        cells = self.columns.cells(self.structure_column)
        folders = self._folders or [Path(str(self.path)).expanduser()] * len(cells)
        return [_text_of(cell, folder) for cell, folder in zip(cells, folders, strict=True)]

    def _graphs(self) -> Iterator[Any]:
        """The graph of each row, or why there is none; read in parts, each of which is kept."""
        texts = self._texts
        if len(texts) <= CHUNK:
            yield from _read_all(texts, self.neighbours)
            return
        for start in range(0, len(texts), CHUNK):
            part = texts[start : start + CHUNK]
            key = digest("part of crystals", package_version("pymatgen"), self.neighbours, part)
            items = processed(key, lambda part=part: _as_items(part, self.neighbours))
            found = {graph.row: graph for graph in items.graphs}
            found |= {entry.row: entry.reason for entry in items.rejected}
            yield from (found[row] for row in range(len(part)))

    def _of_table(self, file: Path) -> Columns:
        if is_ase(file):
            return read_ase(file, str(self.structure_column), self.missing, self.url)
        return read_columns(file, self.url, self.missing)

    def _of_folder(self, folder: Path) -> Columns:
        if not (folder / PROPERTIES).exists():
            files = sorted(
                file
                for file in folder.iterdir()
                if _is_structure(file) or file.name.lower().removesuffix(".gz").endswith(".json")
            )
            if not files:
                raise ValueError(
                    f"data.path={self.path} holds neither {PROPERTIES} nor a file of a structure "
                    f"({', '.join(STRUCTURES)})"
                )
            return self._of_files(files)
        text = read_text(folder / PROPERTIES)
        rows = [[cell.strip() for cell in line.split(",")] for line in text.split("\n") if line]
        wide = {len(row) for row in rows}
        if len(wide) > 1 or wide == {1}:
            raise ValueError(
                f"data.path={self.path}/{PROPERTIES} must have an id and as many targets in each "
                f"line, it has {', '.join(map(str, sorted(wide)))} cells"
            )
        ids, *targets = zip(*rows, strict=True)
        names = ["target"] if len(targets) == 1 else [f"target_{i}" for i in range(len(targets))]
        values = {"id": list(ids), str(self.structure_column): [f"{name}.cif" for name in ids]}
        values |= {name: list(cells) for name, cells in zip(names, targets, strict=True)}
        return Columns(self.path, values, missing=word_set(self.missing))

    def _of_files(self, files: Sequence[Path]) -> Columns:
        columns = table_of_files(self.path, str(self.structure_column), files)
        columns.missing = word_set(self.missing)
        return columns


def _is_structure(file: Path) -> bool:
    name = file.name.lower().removesuffix(".gz")
    return name.endswith(STRUCTURES[:-1]) or name.startswith(("poscar", "contcar"))


def _text_of(cell: str, folder: Path) -> str:
    """The structure that a cell holds, or that stands in the file of its name; empty if it cannot
    be read, which is told where the structure is looked at."""
    if not cell or "\n" in cell or cell.startswith(("{", UNREADABLE)):
        return cell
    for name in (cell, f"{cell}.gz", f"{cell}.cif", f"{cell}.cif.gz"):
        file = folder / name
        if len(name) < 256 and file.is_file():
            try:
                return read_text(file, option="the file")
            except (OSError, ValueError) as error:
                return f"{UNREADABLE}{error}"
    return f"{UNREADABLE}there is no file {cell!r} in {folder}"


def _read(text: str, neighbours: Neighbours) -> Atoms | str:
    """A crystal, or why it cannot be used."""
    if text.startswith(UNREADABLE):
        return text.removeprefix(UNREADABLE)
    try:
        return read_atoms(text, neighbours)
    except ValueError as error:
        return str(error)


def _read_all(texts: Sequence[str], neighbours: Neighbours) -> Iterator[Any]:
    """The graph of each text, or why there is none, read on all cores."""
    for atoms in on_all_cores(partial(_read, neighbours=neighbours), texts, FEW):
        yield atoms if isinstance(atoms, str) else crystal_graph(atoms, neighbours)


def _as_items(texts: Sequence[str], neighbours: Neighbours) -> Items:
    """Crystals as items that can be kept, numbered from 0."""
    items = Items(graphs=[], kind="crystal", num_rows=len(texts))
    for row, graph in enumerate(_read_all(texts, neighbours)):
        if isinstance(graph, str):
            items.rejected.append(Rejected(row, f"row_{row}", graph))
        else:
            graph.name, graph.row = f"row_{row}", row
            items.graphs.append(graph)
    return items
