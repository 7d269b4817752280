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
    done: dict[str, Tensor] = {}
    if {"var", "std"} & set(names):
        done["sum"], done["var"] = adjacency.moments(x)

    def once(name: str) -> Tensor:
        if name not in done:
            done[name] = compute[name]()
        return done[name]

    def std() -> Tensor:
        # As PyG has it: the gradient of the root is cut off below 1e-5.
        root = once("var").clamp(min=1e-5).sqrt()
        return root.masked_fill(root <= math.sqrt(1e-5), 0)

    compute = {
        "sum": lambda: adjacency.sum(x),
        "mean": lambda: adjacency.per_degree(once("sum")),
        "max": lambda: adjacency.max(x),
        "min": lambda: adjacency.min(x),
        "std": std,
    }
    return [once(name) for name in names]
