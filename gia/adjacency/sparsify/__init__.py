"""Which pairs become edges, and with which weights."""

from gia.adjacency.sparsify.base import Chain, Selection, Sparsifier
from gia.adjacency.sparsify.functions import (
    BelowAbove,
    Flow,
    ReLU,
    Sigmoid,
    SiLU,
    SiLUPlusBinary,
    Softplus,
)
from gia.adjacency.sparsify.threshold import Threshold
from gia.adjacency.sparsify.top_k import ScaledTopK, TopK
from gia.adjacency.sparsify.window import DropSinks, RandomEdges, Window

__all__ = [
    "BelowAbove",
    "Chain",
    "DropSinks",
    "Flow",
    "RandomEdges",
    "ReLU",
    "ScaledTopK",
    "Selection",
    "SiLU",
    "SiLUPlusBinary",
    "Sigmoid",
    "Softplus",
    "Sparsifier",
    "Threshold",
    "TopK",
    "Window",
]
