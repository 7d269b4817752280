"""Which pairs become edges, and with which weights."""

from gia.attention.sparsify.base import Chain, Selection, Sparsifier
from gia.attention.sparsify.functions import (
    BelowAbove,
    Flow,
    ReLU,
    Sigmoid,
    SiLU,
    SiLUPlusBinary,
    Softplus,
)
from gia.attention.sparsify.threshold import Threshold
from gia.attention.sparsify.top_k import ScaledTopK, TopK
from gia.attention.sparsify.window import DropSinks, RandomEdges, Window

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
