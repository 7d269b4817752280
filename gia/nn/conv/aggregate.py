"""PyG's vocabulary of aggregators and degree scalers, for weighted graphs."""

import math

import torch
from torch import Tensor
from torch_geometric.nn import aggr
from torch_geometric.nn.resolver import aggregation_resolver

from gia.graph import Adjacency
from gia.nn.conv.inputs import written_out
from gia.typing import OptTensor

AGGREGATORS = {
    aggr.SumAggregation: "sum",
    aggr.MeanAggregation: "mean",
    aggr.MaxAggregation: "max",
    aggr.MinAggregation: "min",
    aggr.VarAggregation: "var",
    aggr.StdAggregation: "std",
}


# Whole vectors and not single channels: not PyG's, but of the published token-wise PNA.
TOKEN_AGGREGATORS = ("token_max", "token_min")
OWN = "own"
NOT_PYGS = (*TOKEN_AGGREGATORS, OWN)


def aggregator_name(aggregator: str | aggr.Aggregation) -> str:
    """The name of an aggregator that a weighted graph has a meaning for.

    Raises:
        ValueError: If it is none of them.
    """
    if aggregator in NOT_PYGS:
        return aggregator
    name = AGGREGATORS.get(type(aggregation_resolver(aggregator)))
    if name is None:
        raise ValueError(
            f"aggregator {aggregator!r} has no meaning on a weighted graph: "
            f"use one of {', '.join([*AGGREGATORS.values(), *NOT_PYGS])}"
        )
    return name


def aggregate(
    names: list[str],
    x: Tensor,
    adjacency: Adjacency,
    *,
    threshold: float = 0.0,
    own: OptTensor = None,
) -> list[Tensor]:
    r"""Aggregate the neighbours of each node in several ways.

    With :math:`\deg_i = \sum_j |A_{ij}|` (1 where there is no neighbour): sum :math:`A\mathbf{x}`,
    mean :math:`A\mathbf{x} / \deg`, var :math:`\max(0, A\mathbf{x}^2 / \deg - \mathrm{mean}^2)`,
    std :math:`\sqrt{\mathrm{var}}`; max and min run over the support. With unit weights these are
    PyG's aggregators. ``token_max`` (``token_min``) is the vector of the neighbour with the largest
    (smallest) norm among those with a weight above a threshold, and the node's own where there is
    none, from `"Graph-Aware Isomorphic Attention" <https://arxiv.org/abs/2501.02393>`_; the norm
    chooses and has no gradient. ``own`` is the node itself, without any neighbour: what the code of
    that paper computes in the place of ``max``.

    Args:
        names (list): Which ones, in PyG's words.
        x (Tensor): Features of the sources, ``[N, H, d]``.
        adjacency (Adjacency): The graph.
        threshold (float): Of ``token_max`` and ``token_min``.
        own (Tensor, optional): What is a node's own, ``[N, H, d]``, which ``token_max`` and
            ``token_min`` give a node without such a neighbour; x if left out.
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
    if wanted & set(TOKEN_AGGREGATORS):
        strong = written_out(adjacency).above(threshold)
        norm = x.detach().norm(dim=-1, keepdim=True)
        for name, sign in zip(TOKEN_AGGREGATORS, (1, -1), strict=True):
            if name in wanted:
                found[name] = _vector_of(strong.argmax(sign * norm), x, x if own is None else own)
    if OWN in wanted:
        found[OWN] = x if own is None else own
    return [found[name] for name in names]


def _vector_of(node: Tensor, x: Tensor, own: Tensor) -> Tensor:
    """The vectors of chosen nodes, ``[N, H, 1]``, or the node's own where none is (-1)."""
    if x.size(0) == 0:
        return own
    chosen = x.gather(0, node.clamp(min=0).expand(-1, -1, x.size(-1)))
    return torch.where(node < 0, own, chosen)
