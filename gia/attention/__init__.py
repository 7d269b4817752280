"""Attention as a graph: scores over a scope, made into weights, of which some become edges."""

from gia.attention.adjacency import AttentionAdjacency
from gia.attention.cached import Cache, CachedSoftmax, Memory
from gia.attention.dense import DenseAdjacency
from gia.attention.fused import FusedSoftmax
from gia.attention.input_graph import AddInputGraph
from gia.attention.normalize import Differential, HeadNorm, Normalizer, ReLU, Softmax, Uniform
from gia.attention.rotary import Rotary
from gia.attention.scope import (
    CausalScope,
    FullScope,
    GlobalScope,
    InputGraph,
    IntersectionScope,
    NeighborScope,
    Scope,
    UnionScope,
    WindowScope,
)
from gia.attention.score import (
    BiasedScore,
    ConstantScore,
    DistanceBias,
    DotProduct,
    DotProductScore,
    EdgeBias,
    HopBias,
    PairNetworkScore,
    Score,
    Scores,
)

__all__ = [
    "AddInputGraph",
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
    "EdgeBias",
    "FullScope",
    "FusedSoftmax",
    "GlobalScope",
    "HeadNorm",
    "HopBias",
    "InputGraph",
    "IntersectionScope",
    "Memory",
    "NeighborScope",
    "Normalizer",
    "PairNetworkScore",
    "ReLU",
    "Rotary",
    "Scope",
    "Score",
    "Scores",
    "Softmax",
    "Uniform",
    "UnionScope",
    "WindowScope",
]
