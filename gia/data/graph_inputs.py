"""What a model must know of graphs: their features, and statistics of the training part."""

from collections.abc import Sequence
from typing import Any

import torch
from torch_geometric.data import Data

from gia.data.graph_table import GraphTable


def features(table: GraphTable) -> dict[str, Any]:
    """What all graphs of a table have in common.

    ``node_categories`` and ``edge_categories`` are sizes of categorical columns, ``node_channels``
    and ``edge_channels`` numbers of continuous ones.
    """
    first = table.graphs[0]
    edge_attr = first.edge_attr
    edge_channels = 0 if edge_attr is None or table.edge_categories else edge_attr.size(1)
    return {
        "node_categories": list(table.node_categories),
        "node_channels": 0 if table.node_categories else first.x.size(1),
        "edge_categories": list(table.edge_categories),
        "edge_channels": edge_channels,
        "ordered": table.ordered,
        "level": table.level,
    }


def fit_to_model(table: GraphTable, inputs: dict[str, Any]) -> None:
    """See that a model knows such graphs, and give them the targets that it predicts.

    Args:
        table: changed in place.
        inputs: of the model.

    Raises:
        ValueError: if the graphs are of another kind.
    """
    for key, value in features(table).items():
        if value != inputs[key]:
            raise ValueError(
                f"the model was trained on graphs with {key} {inputs[key]}, but these have "
                f"{value}: predict on graphs of the same kind and features"
            )
    names, wanted = table.target_names, list(inputs["target_names"])
    if len(names) != len(wanted):
        rows = (dict(zip(names, cells, strict=True)) for cells in table.cells)
        table.cells = [[row.get(name, "") for name in wanted] for row in rows]
    table.target_names = wanted


def training_statistics(
    graphs: Sequence[Data], target_names: Sequence[str], regression: bool
) -> dict[str, Any]:
    """``target_mean`` and ``target_std``, for regression, and ``degree_histogram``.

    Args:
        graphs: of the training part, with their targets.
        target_names: of the targets.
        regression: the targets are numbers.

    Raises:
        ValueError: if a target has no value, or for regression only one.
    """
    result: dict[str, Any] = {"target_mean": [], "target_std": [], "degree_histogram": []}
    if not graphs:
        return result
    degrees = [torch.bincount(data.edge_index[1], minlength=data.num_nodes) for data in graphs]
    result["degree_histogram"] = torch.bincount(torch.cat(degrees)).tolist()
    y = torch.cat([data.y for data in graphs]).double()
    for name, column in zip(target_names, y.T, strict=True):
        values = column[~column.isnan()]
        if not len(values):
            raise ValueError(f"target {name!r} has no value in the training part of the split")
        if not regression:
            continue
        if values.min() == values.max():
            raise ValueError(
                f"target {name!r} is {values[0]:g} throughout the training part of the split: "
                "there is nothing to learn; leave it out of data.target_column"
            )
        result["target_mean"].append(float(values.mean()))
        result["target_std"].append(float(values.std(correction=0)))
    return result
