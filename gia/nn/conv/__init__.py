"""Message passing over an adjacency: PyG's operators with learned edge weights."""

from gia.nn.conv.aggregate import aggregate
from gia.nn.conv.gin import GINConv, GINEConv
from gia.nn.conv.pna import PNAConv
from gia.nn.conv.weighted_sum import WeightedSumConv

__all__ = [
    "GINConv",
    "GINEConv",
    "PNAConv",
    "WeightedSumConv",
    "aggregate",
]
