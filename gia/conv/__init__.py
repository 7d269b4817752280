"""Message passing over an adjacency: PyG's operators with learned edge weights."""

from gia.conv.aggregate import aggregate
from gia.conv.dropout import Dropout
from gia.conv.gin import GINConv
from gia.conv.norm import RMSNorm
from gia.conv.per_head import PerHeadLinear, PerHeadMLP
from gia.conv.pna import PNAConv
from gia.conv.softmax import SoftmaxConv

__all__ = [
    "Dropout",
    "GINConv",
    "PNAConv",
    "PerHeadLinear",
    "PerHeadMLP",
    "RMSNorm",
    "SoftmaxConv",
    "aggregate",
]
