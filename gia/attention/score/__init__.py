"""How well a source answers a target: the scores from which attention's weights are made."""

from gia.attention.score.base import Score, Scores
from gia.attention.score.bias import BiasedScore, DistanceBias, EdgeBias, HopBias
from gia.attention.score.constant import ConstantScore
from gia.attention.score.dot_product import DotProduct, DotProductScore, LazyDotProduct
from gia.attention.score.pair_network import PairNetworkScore

__all__ = [
    "BiasedScore",
    "ConstantScore",
    "DistanceBias",
    "DotProduct",
    "DotProductScore",
    "EdgeBias",
    "HopBias",
    "LazyDotProduct",
    "PairNetworkScore",
    "Score",
    "Scores",
]
