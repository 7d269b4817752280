"""What a dataset hands over before it is split, and how that is kept in a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import Data

# How the reason begins for which a sequence that is empty is no item.
NO_SEQUENCE = "the sequence "
# Which fields are lists of rows.
ROWS = ("rejected", "masked")


@dataclass
class Rejected:
    """A row of a dataset that became no graph, or one of whose targets cannot be read.

    Attributes:
        row: its number in the source, from 0.
        name: its name.
        reason: what is wrong with it.
    """

    row: int
    name: str
    reason: str


@dataclass
class Items:
    """The items of a dataset and what must be known of them.

    Attributes:
        graphs: as :mod:`gia.data.schema` says.
        cells: the raw targets of each graph as text, one for each of ``target_names``; empty where
            the graphs have their targets already.
        rejected: the rows without a graph.
        masked: the rows with a graph that lacks a target.
        filled: the rows with a feature of the graph that is no number.
        target_names: of the targets.
        class_names: the classes, in the order of their numbers in ``y``: of every target, or a
            list for each, see :func:`gia.data.targets.classes_of_each`.
        node_categories: sizes of the columns of ``x``; empty where they are continuous.
        edge_categories: sizes of the columns of ``edge_attr``; empty where they are continuous or
            there are none.
        feature_names: of the features of the graphs that are scaled, as bits behind them are not;
            None where nothing was read.
        level: ``"graph"``, or ``"node"``: there is a target for each node.
        components: where an item has several parts, such as a solute and its solvent, the column
            of each and its kind.
        kind: what ``text`` is: ``"smiles"``, ``"sequence"``, ``"formula"``, ``"crystal"`` or
            ``"name"``.
        num_rows: of the source, those without a graph included.
        left_out: how many rows were left out on purpose, by reason.
        unknown: how often each symbol appears that the graphs cannot tell apart.
        first_unknown: the name of the first graph with such a symbol.
        letters: how often each letter of sequences appears, known or not.
        notes: what else is to be known of how the source was read, a sentence each.
    """

    graphs: Sequence[Data]
    cells: list[list[str]] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    masked: list[Rejected] = field(default_factory=list)
    filled: list[Rejected] = field(default_factory=list)
    target_names: list[str] = field(default_factory=list)
    class_names: list[str] | list[list[str]] = field(default_factory=list)
    node_categories: list[int] = field(default_factory=list)
    edge_categories: list[int] = field(default_factory=list)
    feature_names: list[str] | None = None
    level: str = "graph"
    components: dict[str, str] = field(default_factory=dict)
    kind: str = "name"
    num_rows: int = 0
    left_out: dict[str, int] = field(default_factory=dict)
    unknown: dict[str, int] = field(default_factory=dict)
    first_unknown: str | None = None
    letters: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def places(self, kind: str) -> list[int]:
        """Which parts of each item are of this kind, counted from 0."""
        kinds = list(self.components.values()) or [self.kind]
        return [place for place, own in enumerate(kinds) if own == kind]


def chosen(items: Items, rows: Sequence[int]) -> Items:
    """The items of these rows alone, in their order."""
    place = {int(data.row): i for i, data in enumerate(items.graphs)}
    places, among = [place[row] for row in rows if row in place], set(rows)
    return replace(
        items,
        graphs=[items.graphs[i] for i in places],
        cells=[items.cells[i] for i in places] if items.cells else [],
        rejected=[entry for entry in items.rejected if entry.row in among],
        masked=[entry for entry in items.masked if entry.row in among],
    )


def to_plain(items: Items) -> dict[str, Any]:
    """Items as plain values and one tensor per field, which load with ``weights_only=True``."""
    graphs = items.graphs
    columns = {}
    for key, value in graphs[0].to_dict().items() if graphs else ():
        values = [data[key] for data in graphs]  # items of one dataset have the same fields
        if isinstance(value, Tensor):
            dim = graphs[0].__cat_dim__(key, value)
            sizes = torch.tensor([value.size(dim) for value in values])
            values = {"dim": dim, "sizes": sizes, "joined": torch.cat(values, dim)}
        columns[key] = values
    rows = {key: [vars(row) for row in getattr(items, key)] for key in ROWS}
    return vars(items) | {"graphs": columns} | rows


def from_plain(fields: dict[str, Any]) -> Items:
    """The items that :func:`to_plain` described."""
    columns = {
        key: values["joined"].split(values["sizes"].tolist(), values["dim"])
        if isinstance(values, dict)
        else values
        for key, values in fields["graphs"].items()
    }
    rows = zip(*columns.values(), strict=True)
    graphs = [Data(**dict(zip(columns, row, strict=True))) for row in rows]
    told = {key: [Rejected(**row) for row in fields[key]] for key in ROWS}
    return Items(**fields | {"graphs": graphs} | told)
