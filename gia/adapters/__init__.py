"""Adapters of frozen language models that pass messages along the model's own attention."""

from gia.adapters.config import SparseGINConfig
from gia.adapters.layer import SparseGIN
from gia.adapters.published import from_published
from gia.adapters.weights import EdgeWeights

__all__ = [
    "EdgeWeights",
    "SparseGIN",
    "SparseGINConfig",
    "from_published",
]
