"""Benchmark graphs of the TUDataset collection."""

from __future__ import annotations

import hashlib
import os
import tempfile
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch_geometric.data import Data
from torch_geometric.datasets import TUDataset
from torch_geometric.utils import degree

from gia.data.cache import digest
from gia.data.files import cache_folder
from gia.data.graph_table import GraphTable, progress

# Degrees from here on count as one: any graph then has the same classes of nodes.
MAX_DEGREE = 127


class TU:
    """A dataset of the `TUDataset collection <https://chrsmrrs.github.io/datasets>`_, by name.

    PyG's ``TUDataset`` reads it: labels of nodes and edges one-hot. Nodes without a label have
    their degree as a category instead.

    Args:
        name: such as ``PROTEINS``.
        root: a folder that holds ``NAME/raw/NAME_A.txt`` and its siblings, which is only read.
            Where there is none, they are downloaded, once, into ``$GIA_CACHE/tu``.
        use_node_attr: read continuous attributes of nodes too.
    """

    def __init__(
        self, name: str, root: str | os.PathLike | None = None, use_node_attr: bool = False
    ) -> None:
        self.name, self.root, self.use_node_attr = name, root, use_node_attr

    def load(self, labelled: bool = True) -> GraphTable:
        """All graphs in the dataset's order.

        Raises:
            OSError: if there is no such dataset.
            ValueError: if its files do not fit together.
        """
        # In a folder of its own: what PyG processes is not written in one piece, and the folder of
        # the raw files may be read-only. The graphs are kept in the cache of processed graphs.
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / self.name).mkdir()
            (Path(folder) / self.name / "raw").symlink_to(self._raw.resolve())
            try:
                dataset = TUDataset(folder, self.name, use_node_attr=self.use_node_attr)
                graphs = [dataset[i] for i in range(len(dataset))]
            except (RuntimeError, ValueError, IndexError) as error:
                raise ValueError(
                    f"{self._raw} cannot be read as a dataset of the TUDataset collection "
                    f"({error}): its files are damaged"
                ) from error
        target_names, cells = self._targets
        if len(cells) != len(graphs):
            raise ValueError(
                f"{self._raw} holds {len(graphs)} graphs but {len(cells)} targets: it is damaged"
            )
        kept = [
            self._graph(i, data)
            for i, data in progress(enumerate(graphs), len(graphs), f"reading {self.name}")
        ]
        labelled_nodes = kept[0].x.is_floating_point()
        return GraphTable(
            graphs=kept,
            cells=cells,
            target_names=target_names,
            node_categories=[] if labelled_nodes else [MAX_DEGREE + 1],
        )

    def digest(self) -> str:
        """Of the raw files and the options."""
        content = hashlib.sha256()
        for file in sorted(self._raw.glob(f"{self.name}_*.txt")):
            content.update(f"{file.name}\0".encode() + file.read_bytes())
        return digest("tu", self.name, self.use_node_attr, content.hexdigest())

    def table(self) -> tuple[list[str], list[dict[str, str]]]:
        """The name and the target of each graph."""
        names, cells = self._targets
        rows = [
            {"graph": f"{self.name}_{i}", **dict(zip(names, row, strict=True))}
            for i, row in enumerate(cells)
        ]
        return ["graph", *names], rows

    def with_file(self, path: str, **columns: Any) -> TU:
        """There is none: such a dataset is a folder.

        Raises:
            ValueError: always, with the way out.
        """
        raise ValueError(
            f"graphs of the TUDataset collection are not read from a file such as data.path={path}:"
            " give data.name=... and data.root=..."
        )

    def _graph(self, row: int, data: Data) -> Data:
        x, edge_attr = data.x, data.edge_attr
        if x is None or x.size(1) == 0:
            degrees = degree(data.edge_index[1], data.num_nodes, dtype=torch.long)
            x = degrees.clamp(max=MAX_DEGREE).view(-1, 1)
        graph = Data(x=x, edge_index=data.edge_index)
        if edge_attr is not None and edge_attr.size(1) > 0:
            graph.edge_attr = edge_attr
        graph.name = graph.text = f"{self.name}_{row}"
        graph.row = row
        return graph

    @cached_property
    def _raw(self) -> Path:
        if self.root is not None:
            raw = Path(self.root).expanduser() / self.name / "raw"
            if (raw / f"{self.name}_A.txt").is_file():
                return raw
        return self._download()

    @cached_property
    def _targets(self) -> tuple[list[str], list[list[str]]]:
        """The names of the targets, and the raw targets of each graph as the files give them."""
        for kind in ("attributes", "labels"):  # in PyG's order
            file = self._raw / f"{self.name}_graph_{kind}.txt"
            if file.is_file():
                rows = [
                    [cell.strip() for cell in line.split(",")]
                    for line in file.read_text().splitlines()
                    if line.strip()
                ]
                numbers = len(rows[0])
                names = [f"target_{i}" for i in range(numbers)] if numbers > 1 else ["target"]
                return names, rows
        raise FileNotFoundError(f"{self._raw} has no {self.name}_graph_labels.txt: it is damaged")

    def _download(self) -> Path:
        folder = cache_folder("tu")
        raw = folder / self.name / "raw"
        if raw.is_dir():
            return raw
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as part:
            try:
                TUDataset(part, self.name)
            except Exception as error:  # PyG raises whatever its file system raises
                raise FileNotFoundError(
                    f"data.root={self.root} has no {self.name}/raw/{self.name}_A.txt, and "
                    f"{TUDataset.url}/{self.name}.zip could not be downloaded ({error}): check "
                    f"data.name={self.name}, or fetch it on another machine, unpack it as "
                    f"FOLDER/{self.name}/raw and give data.root=FOLDER"
                ) from error
            raw.parent.mkdir(exist_ok=True)
            os.replace(Path(part) / self.name / "raw", raw)  # under its name only once it is whole
        return raw
