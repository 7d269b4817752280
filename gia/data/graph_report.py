"""What a datamodule of labelled graphs did with the data, in numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from gia.data.report import largest_group, split_counts
from gia.data.splits import PARTS

if TYPE_CHECKING:
    from gia.data.graph_datamodule import GraphDataModule


def summary(data: GraphDataModule) -> dict[str, Any]:
    """Counts of what was read, lost and split, as plain values.

    ``rejected`` lists the rows without a graph and ``masked`` those that lack a target, each by
    ``row``, ``name`` and ``reason``; ``missing_targets`` counts the missing values of each target.
    ``duplicates`` counts the graphs that repeat an earlier one, ``groups`` those that the split
    kept together, ``cut`` the sequences that lost symbols to ``max_length``. ``absent_classes``
    names the classes that a part of the split lacks.
    """
    data.setup()
    y = torch.cat([graph.y for graph in data.graphs])
    result = {
        "graphs": len(data.graphs),
        "rejected": [dict(row) for row in data.rejected],
        "masked": [dict(row) for row in data.masked],
        "missing_targets": dict(zip(data.target_names, y.isnan().sum(0).tolist(), strict=True)),
        "left_out": dict(data.left_out),
        "single_node": sum(graph.num_nodes == 1 for graph in data.graphs),
        "without_edges": sum(graph.num_edges == 0 for graph in data.graphs),
        **split_counts(data, data.cut),
        "unknown": dict(data.unknown),
        "absent_classes": {},
    }
    for i, name in enumerate(PARTS):
        graphs = getattr(data, f"{name}_data")
        result[name] = {
            "graphs": len(graphs),
            "nodes": sum(graph.num_nodes for graph in graphs),
            "edges": sum(graph.num_edges for graph in graphs),
            "largest_group": largest_group(data, i),
        }
        if data.class_names and graphs:
            result[name]["classes"], absent = _classes(data, graphs)
            if absent:
                result["absent_classes"][name] = absent
    return result


def _classes(data: GraphDataModule, graphs: list) -> tuple[dict[str, int], list[str]]:
    """How often each class appears, and those that some target lacks."""
    y = torch.cat([graph.y for graph in graphs])
    number = len(data.class_names)
    counts = [y[~y[:, t].isnan(), t].long().bincount(minlength=number) for t in range(y.size(1))]
    total = torch.stack(counts).sum(0).tolist()
    prefix = [f"{name}: " for name in data.target_names] if len(counts) > 1 else [""]
    absent = [
        f"{prefix[t]}{data.class_names[c]}"
        for t, count in enumerate(counts)
        for c in (count == 0).nonzero().flatten().tolist()
    ]
    return dict(zip(data.class_names, total, strict=True)), absent
