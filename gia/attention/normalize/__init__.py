"""From scores to weights."""

from gia.attention.normalize.base import Normalizer
from gia.attention.normalize.differential import Differential, HeadNorm
from gia.attention.normalize.relu import ReLU
from gia.attention.normalize.softmax import Softmax
from gia.attention.normalize.uniform import Uniform

__all__ = ["Differential", "HeadNorm", "Normalizer", "ReLU", "Softmax", "Uniform"]
