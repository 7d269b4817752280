"""Vectors of all graphs of a dataset, in a file for other programs."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gia.analysis.prediction_table import PROBLEM, check_out, number_cell, write_csv
from gia.data.files import write_atomically
from gia.nn import embed

SUFFIXES = (".npz", ".csv")


@dataclass
class Embeddings:
    """Vectors of B graphs, or of their N nodes, in the order of the graphs' rows.

    Attributes:
        x: the vectors.
        row: of each graph in its source, from 0.
        name: of each graph.
        ptr: where the nodes of each graph begin and end, also where only ``y`` has them.
        level: ``"graph"`` or ``"node"``, what has vectors.
        y: the targets of graphs or of nodes, NaN where one is missing; None if none is known.
        target_names: of the targets.
        problems: the row of the source and the reason, for each that has no vector.

    Shapes:
        x: [B, D] or [N, D]
        row: [B]
        ptr: [B + 1]
        y: [B, T] or [N, T]
    """

    x: Tensor
    row: Tensor
    name: list[str]
    ptr: Tensor
    level: str = "graph"
    y: Tensor | None = None
    target_names: list[str] = field(default_factory=list)
    problems: dict[int, tuple[str, str]] = field(default_factory=dict)

    def save(self, path: str | os.PathLike) -> None:
        """Write a file whole or not at all, for NumPy (``.npz``) or as a table (``.csv``).

        The arrays are named as the attributes. The table has a line for each graph or node, with
        name, row, and the number of a node; where a row has no vector, a last column says why.
        """
        path = Path(path)
        if path.suffix.lower() == ".csv":
            write_csv(path, *self._table())
            return
        with write_atomically(path, "wb") as file:
            np.savez(file, **self._arrays())

    def _arrays(self) -> dict[str, np.ndarray]:
        arrays = {"x": self.x.numpy(), "row": self.row.numpy(), "name": np.array(self.name, "U")}
        if self.level == "node" or (self.y is not None and len(self.y) != len(self.row)):
            arrays["ptr"] = self.ptr.numpy()
        if self.y is not None:
            arrays |= {"y": self.y.numpy(), "target_names": np.array(self.target_names, "U")}
        if self.problems:
            arrays["problem_row"] = np.array(list(self.problems))
            arrays[PROBLEM] = np.array([reason for _, reason in self.problems.values()], "U")
        return arrays

    def _table(self) -> tuple[list[str], list[list[Any]]]:
        columns = ["name", "row", *(["node"] if self.level == "node" else [])]
        numbers = list(map(str, range(self.x.size(1))))
        lines = list(self._lines())
        if self.problems:
            blank = [""] * (len(columns) - 2 + len(numbers))
            lines = [[*line, ""] for line in lines]
            lines += [[name, row, *blank, why] for row, (name, why) in self.problems.items()]
            lines.sort(key=lambda line: line[1])  # nodes of a graph keep their order
            numbers.append(PROBLEM)
        return [*columns, *numbers], lines

    def _lines(self) -> Iterator[list[Any]]:
        nodes = self.ptr.diff().tolist() if self.level == "node" else [1] * len(self.name)
        vectors = iter(self.x.tolist())
        for name, row, size in zip(self.name, self.row.tolist(), nodes, strict=True):
            for node in range(size):
                number = [node] if self.level == "node" else []
                yield [name, row, *number, *map(number_cell, next(vectors))]


def embeddings(
    model: nn.Module, data: Any, part: str = "test", *, layer: int = -1, level: str = "graph"
) -> Embeddings:
    """The vectors of one part of the data, made where the model is.

    Args:
        model (nn.Module): A trained model, such as ``task.model`` of a loaded checkpoint.
        data (DataModule): The data, as the model knows it.
        part (str): ``"train"``, ``"val"`` or ``"test"``.
        layer (int), level (str): Of :func:`gia.nn.embed`.

    Raises:
        ValueError: If there is no such layer or level, or nothing in this part.
    """
    data.setup()
    names = data.items.target_names if data.target_type != "next_token" else []
    device = next(model.parameters()).device
    found: list[tuple[int, str, int, Tensor, Tensor | None]] = []
    for batch in data.loader(part):
        batch = batch.to(device)
        x = _of_graphs(embed(model, batch, layer=layer, level=level).float(), batch)
        y = _of_graphs(batch.y, batch) if names else [None] * batch.num_graphs
        sizes = batch.num_nodes_per_graph
        found += zip(batch.row.tolist(), batch.name, sizes, x, y, strict=True)
    if not found:
        raise ValueError(f"the part {part} holds no graph")
    found.sort(key=lambda graph: graph[0])  # batches may hold those of similar size
    row, name, sizes, x, y = zip(*found, strict=True)
    targets = torch.cat(y) if names else None
    if targets is not None and targets.isnan().all():
        targets = None
    return Embeddings(
        torch.cat(x),
        torch.tensor(row),
        list(name),
        torch.tensor([0, *sizes]).cumsum(0),
        level,
        targets,
        list(names) if targets is not None else [],
    )


def check_new(out: str | os.PathLike) -> Path:
    """See that a file of vectors can be written, before any work is done for it.

    Raises:
        ValueError, OSError: If it is of another kind or there already, or cannot be made.
    """
    path = check_out(out)
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"out={out} must end in .npz, for NumPy, or in .csv, a table")
    if path.exists():
        raise FileExistsError(f"out={out} exists already: give another name, or remove it")
    if not os.access(path.parent, os.W_OK):
        raise PermissionError(f"out={out}: the folder {path.parent} may not be written to")
    return path


def _of_graphs(value: Tensor, batch: Any) -> Sequence[Tensor]:
    """Rows of each graph: one, or one for each node."""
    value = value.cpu()
    if len(value) == batch.num_graphs:
        return value.split(1)
    return value.split(batch.num_nodes_per_graph)
