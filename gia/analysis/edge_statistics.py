"""What a graph over a sequence is like, in a few numbers."""

from collections.abc import Iterable

import torch
from torch import Tensor
from torch_geometric.data import Data

EDGE_STATISTICS = ("edges", "kept", "distance", "self", "first", "strongest")


def edge_statistics(graphs: Iterable[Data]) -> dict[str, float]:
    r"""The edges of causal graphs, over all their sequences and heads together.

    Every node that reads anything counts as one, by the shares
    :math:`s_{ij} = |A_{ij}| / \sum_k |A_{ik}|` of what arrives at it.

    Args:
        graphs (iterable of Data): Single sequences, their nodes numbered by their places:
            ``edge_index [2, E]`` from source to target, and ``edge_weight [E, H]``.

    Returns:
        dict: By the names in ``EDGE_STATISTICS``:

        - ``edges``: edges that arrive at a node, in the mean over nodes;
        - ``kept``: the share that they are of all pairs of a node and one not after it;
        - ``distance``: how many places before a node the mean of what it reads stands;
        - ``self``: the share of what arrives that a node sends itself;
        - ``first``: and that the first node sends, to others;
        - ``strongest``: the largest share of an edge.

        NaN where there are no edges.
    """
    total = dict.fromkeys(EDGE_STATISTICS, 0.0)
    nodes = edges = pairs = readers = 0
    for graph in graphs:
        source, target = graph.edge_index
        weight = graph.edge_weight.detach().float().abs()
        present = weight > 0
        length, heads = graph.num_nodes, weight.size(1)
        nodes, pairs = nodes + length * heads, pairs + length * (length + 1) // 2 * heads
        edges += int(present.sum())
        arriving = weight.new_zeros(length, heads).index_add(0, target, weight)
        readers += int((arriving > 0).sum())
        share = weight / arriving[target].clamp_min(torch.finfo(weight.dtype).tiny)
        loop = source == target
        total["distance"] += _sum(share * (target - source).abs().unsqueeze(1))
        total["self"] += _sum(share[loop])
        total["first"] += _sum(share[(source == 0) & ~loop])
        largest = share.new_zeros(length, heads)
        index = target.unsqueeze(1).expand_as(share)
        total["strongest"] += _sum(largest.scatter_reduce(0, index, share, "amax"))
    if not readers:
        return dict.fromkeys(EDGE_STATISTICS, float("nan"))
    found = {name: value / readers for name, value in total.items()}
    return found | {"edges": edges / nodes, "kept": edges / pairs}


def _sum(values: Tensor) -> float:
    return float(values.sum(dtype=torch.float64))
