"""Graph-aware layers, blocks and models."""

from gia.nn.attention import (
    GINAttention,
    GraphAttention,
    PNAAttention,
    SoftmaxAttention,
)
from gia.nn.attention_batch import attention_batch
from gia.nn.block import Block, MLPBlock
from gia.nn.context import GraphContext
from gia.nn.conv import GINConv, GINEConv, PNAConv, WeightedSumConv, aggregate
from gia.nn.conv_block import ConvBlock, GPSBlock, transformer_conv
from gia.nn.dropout import Dropout
from gia.nn.encoder import EdgeEncoder, EncodingEncoder, LaplacianEncoder, NodeEncoder
from gia.nn.head import PredictionHead
from gia.nn.matching import count_parameters, match_width
from gia.nn.mlp import GINMLP, LinearMLP, ReLUMLP, ShallowMLP, SwiGLU
from gia.nn.models import (
    FingerprintBoosting,
    FingerprintForest,
    GraphTransformer,
    LanguageModel,
    NGram,
    PooledMLP,
    Transformer,
    generate,
)
from gia.nn.norm import RMSNorm
from gia.nn.per_head import PerHeadLinear, PerHeadMLP
from gia.nn.pyg_attention import PyGAttention
from gia.nn.stack import Stack

__all__ = [
    "GINMLP",
    "Block",
    "ConvBlock",
    "Dropout",
    "EdgeEncoder",
    "EncodingEncoder",
    "FingerprintBoosting",
    "FingerprintForest",
    "GINAttention",
    "GINConv",
    "GINEConv",
    "GPSBlock",
    "GraphAttention",
    "GraphContext",
    "GraphTransformer",
    "LanguageModel",
    "LaplacianEncoder",
    "LinearMLP",
    "MLPBlock",
    "NGram",
    "NodeEncoder",
    "PNAAttention",
    "PNAConv",
    "PerHeadLinear",
    "PerHeadMLP",
    "PooledMLP",
    "PredictionHead",
    "PyGAttention",
    "RMSNorm",
    "ReLUMLP",
    "ShallowMLP",
    "SoftmaxAttention",
    "Stack",
    "SwiGLU",
    "Transformer",
    "WeightedSumConv",
    "aggregate",
    "attention_batch",
    "count_parameters",
    "generate",
    "match_width",
    "transformer_conv",
]
