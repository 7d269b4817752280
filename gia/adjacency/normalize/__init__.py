"""From scores to weights."""

from gia.adjacency.normalize.base import Normalizer
from gia.adjacency.normalize.differential import Differential, HeadNorm
from gia.adjacency.normalize.relu import ReLU
from gia.adjacency.normalize.softmax import Softmax
from gia.adjacency.normalize.uniform import Uniform

__all__ = ["Differential", "HeadNorm", "Normalizer", "ReLU", "Softmax", "Uniform"]
