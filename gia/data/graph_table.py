"""What a source of graphs hands over, before its targets are read and it is split."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor
from torch_geometric.data import Data

T = TypeVar("T")

# From this many graphs on, reading them takes long enough to show how far it is.
MANY = 1000


@dataclass
class Rejected:
    """A row of a source that became no graph, or one of whose targets cannot be read.

    Attributes:
        row: its number in the source, from 0.
        name: its name.
        reason: what is wrong with it.
    """

    row: int
    name: str
    reason: str


@dataclass
class GraphTable:
    """The graphs of a source and what must be known of them.

    Attributes:
        graphs: each with ``x``, ``edge_index``, ``name``, ``row`` and ``text``; ``edge_attr`` and
            ``seq_pos`` where they have any. What a split compares is ``text``.
        cells: the raw targets of each graph, one for each of ``target_names``.
        rejected: the rows without a graph.
        target_names: of the targets.
        node_categories: sizes of the columns of ``x``; empty where they are continuous.
        edge_categories: sizes of the columns of ``edge_attr``; empty where they are continuous or
            there are none.
        ordered: the nodes of a graph have an order, ``seq_pos``.
        level: ``"graph"``, or ``"node"``: a target is a string of one value a node.
        kind: what ``text`` is: ``"smiles"``, ``"sequence"`` or ``"name"``.
        parts: where a split of the source's own puts each graph, if it has one.
        left_out: how many rows were left out on purpose, by reason.
        cut: symbols that each graph lost to a maximal length; empty where there is none.
        unknown: how often each symbol appears that the graphs cannot tell apart.
    """

    graphs: list[Data]
    cells: list[list[str]]
    rejected: list[Rejected] = field(default_factory=list)
    target_names: list[str] = field(default_factory=list)
    node_categories: list[int] = field(default_factory=list)
    edge_categories: list[int] = field(default_factory=list)
    ordered: bool = False
    level: str = "graph"
    kind: str = "name"
    parts: list[str] | None = None
    left_out: dict[str, int] = field(default_factory=dict)
    cut: list[int] = field(default_factory=list)
    unknown: dict[str, int] = field(default_factory=dict)


class GraphSource(Protocol):
    """Anything that loads graphs."""

    def digest(self) -> str:
        """A digest of the content and the options, by which processed graphs are kept."""

    def load(self, labelled: bool = True) -> GraphTable:
        """The graphs; without ``labelled`` the targets may be absent."""

    def table(self) -> tuple[list[str], list[dict[str, str]]]:
        """The columns and all rows as they were read, to write them out with predictions."""

    def with_file(self, path: str, **columns: Any) -> GraphSource:
        """A source of the same kind of graphs, out of another file."""


def to_plain(table: GraphTable) -> dict[str, Any]:
    """A table as plain values and one tensor per field, which load with ``weights_only=True``."""
    graphs = table.graphs
    columns = {}
    for key, value in graphs[0].to_dict().items() if graphs else ():
        values = [data[key] for data in graphs]  # graphs of one source have the same fields
        if isinstance(value, Tensor):
            dim = graphs[0].__cat_dim__(key, value)
            sizes = torch.tensor([value.size(dim) for value in values])
            values = {"dim": dim, "sizes": sizes, "joined": torch.cat(values, dim)}
        columns[key] = values
    rejected = [vars(row) for row in table.rejected]
    return vars(table) | {"graphs": columns, "rejected": rejected}


def from_plain(fields: dict[str, Any]) -> GraphTable:
    """The table that :func:`to_plain` described."""
    columns = {
        key: values["joined"].split(values["sizes"].tolist(), values["dim"])
        if isinstance(values, dict)
        else values
        for key, values in fields["graphs"].items()
    }
    rows = zip(*columns.values(), strict=True)
    graphs = [Data(**dict(zip(columns, row, strict=True))) for row in rows]
    rejected = [Rejected(**row) for row in fields["rejected"]]
    return GraphTable(**fields | {"graphs": graphs, "rejected": rejected})


def progress(items: Iterable[T], total: int, description: str) -> Iterator[T]:
    """Iterate with a bar, where there are many items and someone to look at it."""
    console = Console(stderr=True)
    hidden = total <= MANY or not console.is_terminal
    yield from track(
        items, description, total=total, console=console, transient=True, disable=hidden
    )
