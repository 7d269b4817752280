"""Adjacencies: weighted directed graphs over tokens, known by what they do to node features."""

from gia.adjacency.attention import AttentionAdjacency
from gia.adjacency.base import Adjacency
from gia.adjacency.cached import Cache, CachedSoftmax, Memory
from gia.adjacency.edges import EdgeAdjacency
from gia.adjacency.fused import FusedSoftmax
from gia.adjacency.normalize import Softmax
from gia.adjacency.rotary import Rotary, rotate
from gia.adjacency.scope import CausalScope, FullScope, Scope
from gia.adjacency.score import DotProduct, DotProductScore, LazyDotProduct

__all__ = [
    "Adjacency",
    "AttentionAdjacency",
    "Cache",
    "CachedSoftmax",
    "CausalScope",
    "DotProduct",
    "DotProductScore",
    "EdgeAdjacency",
    "FullScope",
    "FusedSoftmax",
    "LazyDotProduct",
    "Memory",
    "Rotary",
    "Scope",
    "Softmax",
    "rotate",
]
