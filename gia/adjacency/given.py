"""The data's own graph, to be added to attention's."""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus
from torch_geometric.utils import coalesce

from gia.adjacency.base import Adjacency
from gia.adjacency.combine import SumAdjacency
from gia.adjacency.edges import EdgeAdjacency
from gia.adjacency.scope import Scope


class GivenGraph(nn.Module):
    r"""Adds the given graph (bonds, contacts) to another: :math:`A_h + w_h G`.

    G joins what the data's ``edge_index`` joins, each pair once and with weight 1; under a causal
    scope only where the source is not after the target. The weights :math:`w_h =
    \mathrm{softplus}(\cdot)` are trained and stay positive.

    Args:
        heads (int): Heads H.
        weight (float): Start of every :math:`w_h`, above 0.

    Raises:
        ValueError: If ``weight`` is not above 0, or the data has no edges.
    """

    def __init__(self, heads: int, *, weight: float = 1.0):
        super().__init__()
        if not weight > 0:
            raise ValueError(f"weight must be above 0, got {weight}")
        self.initial_weight = weight
        self.raw_weight = nn.Parameter(torch.empty(heads))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        start = self.initial_weight
        nn.init.constant_(self.raw_weight, start + math.log(-math.expm1(-start)))

    @property
    def weight(self) -> Tensor:
        """The weights of the given graph, ``[H]``."""
        return softplus(self.raw_weight)

    def forward(self, adjacency: Adjacency, scope: Scope) -> SumAdjacency:
        given = scope.given
        if given is None:
            raise ValueError("the given graph is to be added, but the data has no edge_index")
        edge_index = coalesce(given.edge_index, num_nodes=scope.num_nodes, sort_by_row=False)
        if scope.causal:
            edge_index = edge_index[:, edge_index[0] <= edge_index[1]]
        graph = EdgeAdjacency(edge_index, num_nodes=scope.num_nodes)
        return SumAdjacency(adjacency, graph, self.weight)
