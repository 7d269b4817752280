"""Adjacencies: weighted directed graphs over tokens, known by what they do to node features."""

from gia.adjacency.attention import AttentionAdjacency
from gia.adjacency.base import Adjacency
from gia.adjacency.cached import Cache, CachedSoftmax, Memory
from gia.adjacency.combine import HopAdjacency, SumAdjacency
from gia.adjacency.dense import DenseAdjacency
from gia.adjacency.edges import EdgeAdjacency
from gia.adjacency.fused import FusedSoftmax
from gia.adjacency.given import GivenGraph
from gia.adjacency.messages import MessageAdjacency
from gia.adjacency.normalize import Differential, HeadNorm, Normalizer, ReLU, Softmax, Uniform
from gia.adjacency.rotary import Rotary, rotate
from gia.adjacency.scope import (
    CausalScope,
    FullScope,
    Given,
    GivenScope,
    Scope,
    WindowScope,
)
from gia.adjacency.score import (
    BiasedScore,
    ConstantScore,
    DistanceBias,
    DotProduct,
    DotProductScore,
    EdgeBias,
    LazyDotProduct,
    PairNetworkScore,
    Scores,
)

__all__ = [
    "Adjacency",
    "AttentionAdjacency",
    "BiasedScore",
    "Cache",
    "CachedSoftmax",
    "CausalScope",
    "ConstantScore",
    "DenseAdjacency",
    "Differential",
    "DistanceBias",
    "DotProduct",
    "DotProductScore",
    "EdgeAdjacency",
    "EdgeBias",
    "FullScope",
    "FusedSoftmax",
    "Given",
    "GivenGraph",
    "GivenScope",
    "HeadNorm",
    "HopAdjacency",
    "LazyDotProduct",
    "Memory",
    "MessageAdjacency",
    "Normalizer",
    "PairNetworkScore",
    "ReLU",
    "Rotary",
    "Scope",
    "Scores",
    "Softmax",
    "SumAdjacency",
    "Uniform",
    "WindowScope",
    "rotate",
]
