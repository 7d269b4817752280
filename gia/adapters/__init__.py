"""Adapters of frozen language models that pass messages along the model's own attention."""

from gia.adapters.config import SparseGINConfig
from gia.adapters.weights import EdgeWeights

__all__ = [
    "EdgeWeights",
    "SparseGINConfig",
]
