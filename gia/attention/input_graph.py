"""The input graph, to be added to attention's."""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from gia.attention.scope import Scope
from gia.graph.base import Adjacency
from gia.graph.combine import SumAdjacency
from gia.graph.messages import MessageAdjacency


class AddInputGraph(nn.Module):
    r"""Adds the input graph (bonds, contacts) to another: :math:`A_h + w_h G`.

    G has the edges of the data's ``edge_index``, each with weight 1 (parallel edges each, as in
    PyG's layers); under a causal scope only where the source is not after the target. The weights
    :math:`w_h = \mathrm{softplus}(\cdot)` are trained and stay positive.

    With ``edge_dim`` the attributes of the input edges enter what they send, as in PyG's
    ``GINEConv``, and in them alone:

    .. math::
        \sum_j A_{ij} \, \mathbf{x}_j + w_h \sum_{j \in \mathcal{N}_G(i)} \mathrm{ReLU}(\mathbf{x}_j
        + W \mathbf{e}_{ij})

    Args:
        heads (int): Heads H.
        weight (float): Start of every :math:`w_h`, above 0.
        edge_dim (int, optional): Numbers F known of an input edge; without it edges send their
            source's features.
        channels (int, optional): Channels D of the features, which the heads share evenly; needed
            with ``edge_dim`` only.

    Shapes:
        - **scope.given.edge_attr:** ``[E, F]`` with ``edge_dim``

    Raises:
        ValueError: If ``weight`` is not above 0, ``channels`` do not fit, or the data has no edges
            or no such attributes.
    """

    def __init__(
        self,
        heads: int,
        *,
        weight: float = 1.0,
        edge_dim: int | None = None,
        channels: int | None = None,
    ):
        super().__init__()
        if not weight > 0:
            raise ValueError(f"weight must be above 0, got {weight}")
        if edge_dim is not None and (channels is None or channels % heads):
            raise ValueError(
                f"with edge_dim, channels must be a multiple of the {heads} heads, got {channels}"
            )
        self.heads = heads
        self.initial_weight = weight
        self.raw_weight = nn.Parameter(torch.empty(heads))
        self.lin = None if edge_dim is None else nn.Linear(edge_dim, channels)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        start = self.initial_weight
        nn.init.constant_(self.raw_weight, start + math.log(-math.expm1(-start)))
        if self.lin is not None:
            self.lin.reset_parameters()

    @property
    def has_messages(self) -> bool:
        """Whether the input edges send something else than their source's features."""
        return self.lin is not None

    @property
    def weight(self) -> Tensor:
        """The weights of the input graph, ``[H]``."""
        return softplus(self.raw_weight)

    def forward(self, adjacency: Adjacency, scope: Scope) -> SumAdjacency:
        edges = scope.given_edges()
        if edges is None:
            raise ValueError("the given graph is to be added, but the data has no edge_index")
        if self.lin is None:
            return SumAdjacency(adjacency, edges.graph, self.weight)
        attr = scope.given_attr(self.lin.in_features, self.lin.weight.dtype)
        if attr is None:
            raise ValueError(
                "the messages of given edges take their attributes, but the data has no edge_attr"
            )
        encoded = self.lin(attr).unflatten(-1, (self.heads, -1))  # [E, H, d], or of each kind
        messages = MessageAdjacency(edges.graph, encoded, edges.kind)
        return SumAdjacency(adjacency, messages, self.weight)
