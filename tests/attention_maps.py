"""Attention maps made up for tests, and the graphs that an adapter reads from them."""

from dataclasses import dataclass

import torch
from torch import Tensor

from gia.adapters import EdgeWeights
from gia.graph import EdgeAdjacency


@dataclass
class Maps:
    """The attention of B sequences, and which pairs it may see."""

    attention: Tensor  # [B, H, Q, K]
    allowed: Tensor  # [B, 1, Q, K]
    distance: Tensor  # [B, Q, K]
    position: Tensor  # of the sources, [B, K]

    def part(self, queries: slice, keys: slice = slice(None), batch: slice = slice(None)) -> "Maps":
        """What some of the queries see of some of the keys."""
        return Maps(
            self.attention[batch, :, queries, keys],
            self.allowed[batch, :, queries, keys],
            self.distance[batch, queries, keys],
            self.position[batch, keys],
        )

    def keep(self, weights: EdgeWeights) -> Tensor:
        return weights.keep(self.attention, self.allowed, self.distance, self.position)

    def edges(self, weights: EdgeWeights) -> EdgeAdjacency:
        """The graph that a layer makes of them."""
        batch, target, source = self.keep(weights).nonzero().unbind(1)
        _, _, queries, keys = self.attention.shape
        of_edges = self.attention[batch, :, target, source]  # [E, H]
        arrives = batch * queries + target
        number = self.attention.size(0) * queries
        weight = weights(of_edges, self.distance[batch, target, source], arrives, number)
        ends = torch.stack([batch * keys + source, arrives])
        return EdgeAdjacency(ends, weight, num_nodes=number)


def make_maps(batch: int = 2, heads: int = 4, length: int = 9, *, causal: bool = True) -> Maps:
    """Random softmax attention with a few strong edges."""
    scores = 3 * torch.randn(batch, heads, length, length)
    position = torch.arange(length).expand(batch, length)
    distance = position.unsqueeze(2) - position.unsqueeze(1)
    allowed = (distance >= 0 if causal else torch.ones_like(distance, dtype=torch.bool)).unsqueeze(
        1
    )
    attention = scores.masked_fill(~allowed, -torch.inf).softmax(-1)
    return Maps(attention, allowed, distance, position)
