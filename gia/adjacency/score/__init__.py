"""How well a source answers a target: the scores from which attention's weights are made."""

from gia.adjacency.score.base import Scores
from gia.adjacency.score.bias import BiasedScore, DistanceBias, EdgeBias
from gia.adjacency.score.constant import ConstantScore
from gia.adjacency.score.dot_product import DotProduct, DotProductScore, LazyDotProduct
from gia.adjacency.score.pair_network import PairNetworkScore

__all__ = [
    "BiasedScore",
    "ConstantScore",
    "DistanceBias",
    "DotProduct",
    "DotProductScore",
    "EdgeBias",
    "LazyDotProduct",
    "PairNetworkScore",
    "Scores",
]
