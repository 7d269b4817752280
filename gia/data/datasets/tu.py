"""Benchmark graphs of the TUDataset collection."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.datasets import TUDataset
from torch_geometric.io.tu import read_file, read_tu_data
from torch_geometric.utils import degree

from gia.data.cache import digest
from gia.data.files import cache_folder
from gia.data.transforms import Steps, described

# Degrees from here on count as one.
MAX_DEGREE = 127


class TU(TUDataset):
    """A dataset of the `TUDataset collection <https://chrsmrrs.github.io/datasets>`_, by name.

    It is PyG's ``TUDataset``, whose raw files may lie in a folder that is only read: what PyG makes
    of them goes to ``$GIA_CACHE/tu``, whole or not at all. Nodes without a label have their degree
    as a category instead.

    Args:
        name: such as ``PROTEINS``.
        root: a folder that holds ``NAME/raw/NAME_A.txt`` and its siblings. Where there is none,
            they are downloaded, once, into ``$GIA_CACHE/tu``.
        use_node_attr: read continuous attributes of nodes too.
        **options: of PyG's ``TUDataset``, such as ``transform``.

    Raises:
        OSError: if there is no such dataset.
        ValueError: if its files do not fit together.
    """

    def __init__(
        self,
        name: str,
        root: str | os.PathLike | None = None,
        use_node_attr: bool = False,
        **options: Any,
    ) -> None:
        raw = _raw_folder(name, root)
        content = hashlib.sha256()
        for file in sorted(raw.glob(f"{name}_*.txt")):
            content.update(f"{file.name}\0".encode() + file.read_bytes())
        how = described(Steps(options.get("pre_transform")))
        folder = cache_folder("tu") / "processed"
        if how is None or options.get("pre_filter") is not None:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder) as once:  # nothing tells what they do
                _process(Path(once), name, raw, options)
                super().__init__(once, name, use_node_attr=use_node_attr, **options)
            return
        folder = folder / digest("tu", name, content.hexdigest(), how)
        if not (folder / name / "processed").is_dir():
            _process(folder, name, raw, options)
        super().__init__(str(folder), name, use_node_attr=use_node_attr, **options)

    def get(self, idx: int) -> Data:
        data = super().get(idx)
        if data.x is None or data.x.size(1) == 0:
            degrees = degree(data.edge_index[1], data.num_nodes, dtype=torch.long)
            data.x = degrees.clamp(max=MAX_DEGREE).view(-1, 1)
        if data.edge_attr is not None and data.edge_attr.size(1) == 0:
            del data.edge_attr
        data.name = data.text = f"{self.name}_{idx}"
        return data

    def digest(self) -> str:
        """Of the graphs themselves, whatever options and transforms have made of the files."""
        content = hashlib.sha256()
        for part in (self._data.to_dict(), self.slices):
            for key, value in sorted(part.items()):
                plain = value.numpy() if isinstance(value, Tensor) else value
                content.update(repr((key, getattr(plain, "shape", plain))).encode())
                content.update(plain.tobytes() if isinstance(value, Tensor) else b"")
        return digest("tu", self.name, content.hexdigest())

    def with_file(self, path: Any, **columns: Any) -> TU:
        """There is none: such a dataset is a folder.

        Raises:
            ValueError: always, with the way out.
        """
        raise ValueError(
            f"graphs of the TUDataset collection are not read from a file such as data.path={path}:"
            " give data.name=... and data.root=..."
        )


class _Reader(TUDataset):
    """PyG's reader, which counts graphs by their edges, with those that have none at the end."""

    def process(self) -> None:
        data, slices, sizes = read_tu_data(self.raw_dir, self.name)
        batch = read_file(self.raw_dir, self.name, "graph_indicator", torch.long)
        _check(data, batch)
        number = int(batch[-1])
        for key in ("edge_index", "edge_attr"):
            if key in slices:
                missing = number + 1 - len(slices[key])
                slices[key] = torch.cat([slices[key], slices[key][-1:].expand(missing)])
        self.data, self.slices = data, slices
        if self.pre_filter is not None or self.pre_transform is not None:
            graphs = [self.get(i) for i in range(number)]
            graphs = [g for g in graphs if self.pre_filter is None or self.pre_filter(g)]
            graphs = [g if self.pre_transform is None else self.pre_transform(g) for g in graphs]
            self.data, self.slices = self.collate(graphs)
            self._data_list = None
        content = (self._data.to_dict(), self.slices, sizes, type(self._data))
        torch.save(content, self.processed_paths[0])


def _check(data: Data, batch: Tensor) -> None:
    """See that files fit together where PyG would cut them wrongly.

    Shapes:
        batch: [N], int64, the graph of each node, from 1

    Raises:
        ValueError: if they do not.
    """
    number = int(batch.max())
    if not bool((batch.diff() >= 0).all()) or int(batch[0]) < 1:
        raise ValueError("the graph indicator does not go through the graphs in order, from 1")
    targets = 0 if data.y is None else len(data.y)
    if targets != number:
        raise ValueError(f"there are {number} graphs but {targets} targets")
    if data.x is not None and len(data.x) != len(batch):
        raise ValueError(f"there are {len(batch)} nodes but labels or attributes of {len(data.x)}")


def _process(folder: Path, name: str, raw: Path, options: dict[str, Any]) -> None:
    """Let PyG read the files beside where they are to be, and move what it made there at once."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as part:
        tidied = Path(part) / name / "raw"
        tidied.mkdir(parents=True)
        _tidy(raw.resolve(), tidied, name)
        try:
            _Reader(part, name, **options)
        except (RuntimeError, ValueError, IndexError) as error:
            raise ValueError(
                f"{raw} cannot be read as a dataset of the TUDataset collection ({error}): its "
                "files are damaged"
            ) from error
        (folder / name).mkdir(parents=True, exist_ok=True)
        if not (folder / name / "raw").is_symlink():
            (folder / name / "raw").symlink_to(raw.resolve())
        os.replace(Path(part) / name / "processed", folder / name / "processed")


def _tidy(raw: Path, folder: Path, name: str) -> None:
    """The same files, as PyG reads them: it loses a last line that does not end, stumbles over an
    empty one, and takes no fewer than two edges.

    Two loops at the last node, which it drops again, stand for what is missing.
    """
    edges = (raw / f"{name}_A.txt").read_text().split("\n")
    few = sum(bool(line.strip()) for line in edges) < 2
    for file in raw.glob(f"{name}_*.txt"):
        what = file.stem.removeprefix(f"{name}_")
        if few and what.startswith("edge_"):
            continue
        text = file.read_text().rstrip()
        if few and what == "A":
            last = len((raw / f"{name}_graph_indicator.txt").read_text().split())
            text = f"{text}\n{last}, {last}\n{last}, {last}".lstrip()
        (folder / file.name).write_text(f"{text}\n" if text else "")


def _raw_folder(name: str, root: str | os.PathLike | None) -> Path:
    if (
        Path(name).name != name or name == ".."
    ):  # it would lead out of the folder of what was processed
        raise ValueError(
            f"data.name={name} is a path: give a name, such as PROTEINS, and data.root"
        )
    if root is not None:
        raw = Path(root).expanduser() / name / "raw"
        if (raw / f"{name}_A.txt").is_file():
            return raw
    folder = cache_folder("tu")
    raw = folder / name / "raw"
    if raw.is_dir():
        return raw
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as part:
        try:
            TUDataset(part, name)
        except Exception as error:  # PyG raises whatever its file system raises
            raise FileNotFoundError(
                f"data.root={root} has no {name}/raw/{name}_A.txt, and {TUDataset.url}/{name}.zip "
                f"could not be downloaded ({error}): check data.name={name}, or fetch it on "
                f"another machine, unpack it as FOLDER/{name}/raw and give data.root=FOLDER"
            ) from error
        raw.parent.mkdir(exist_ok=True)
        os.replace(Path(part) / name / "raw", raw)  # under its name only once it is whole
    return raw
