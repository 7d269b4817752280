"""PyG's vocabulary of aggregators and degree scalers, for weighted graphs."""

import math

from torch import Tensor
from torch_geometric.nn import aggr
from torch_geometric.nn.resolver import aggregation_resolver

from gia.adjacency import Adjacency

AGGREGATORS = {
    aggr.SumAggregation: "sum",
    aggr.MeanAggregation: "mean",
    aggr.MaxAggregation: "max",
    aggr.MinAggregation: "min",
    aggr.VarAggregation: "var",
    aggr.StdAggregation: "std",
}


def aggregator_name(aggregator: str | aggr.Aggregation) -> str:
    """The name of one of PyG's aggregators that a weighted graph has a meaning for.

    Raises:
        ValueError: If it is none of them.
    """
    name = AGGREGATORS.get(type(aggregation_resolver(aggregator)))
    if name is None:
        raise ValueError(
            f"aggregator {aggregator!r} has no meaning on a weighted graph: "
            f"use one of {', '.join(AGGREGATORS.values())}"
        )
    return name


def aggregate(names: list[str], x: Tensor, adjacency: Adjacency) -> list[Tensor]:
    r"""Aggregate the neighbours of each node in several ways.

    With :math:`\deg_i = \sum_j |A_{ij}|` (1 where there is no neighbour): sum :math:`A\mathbf{x}`,
    mean :math:`A\mathbf{x} / \deg`, var :math:`\max(0, A\mathbf{x}^2 / \deg - \mathrm{mean}^2)`,
    std :math:`\sqrt{\mathrm{var}}`; max and min run over the support. With unit weights these are
    PyG's aggregators.

    Args:
        names (list): Which ones, in PyG's words.
        x (Tensor): Features of the sources, ``[N, H, d]``.
        adjacency (Adjacency): The graph.
    """
    wanted = set(names)
    found: dict[str, Tensor] = {}
    if wanted & {"var", "std"}:
        found["sum"], found["var"] = adjacency.moments(x)
    elif wanted & {"sum", "mean"}:
        found["sum"] = adjacency.sum(x)
    if "mean" in wanted:
        found["mean"] = adjacency.per_degree(found["sum"])
    if "std" in wanted:
        # As PyG has it: the gradient of the root is cut off below 1e-5.
        root = found["var"].clamp(min=1e-5).sqrt()
        found["std"] = root.masked_fill(root <= math.sqrt(1e-5), 0)
    if "max" in wanted:
        found["max"] = adjacency.max(x)
    if "min" in wanted:
        found["min"] = adjacency.min(x)
    return [found[name] for name in names]
