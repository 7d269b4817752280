"""Weighted directed graphs over nodes, known by what they do to node features."""

from gia.graph.base import Adjacency
from gia.graph.combine import HopAdjacency, SumAdjacency
from gia.graph.edges import EdgeAdjacency
from gia.graph.messages import MessageAdjacency

__all__ = [
    "Adjacency",
    "EdgeAdjacency",
    "HopAdjacency",
    "MessageAdjacency",
    "SumAdjacency",
]
