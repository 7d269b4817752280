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
from gia.nn.conv_block import ConvBlock, GPSBlock, PlainConvBlock, cg_conv, transformer_conv
from gia.nn.dropout import Dropout
from gia.nn.embedding import check_embeds, embed
from gia.nn.encoder import EdgeEncoder, EncodingEncoder, LaplacianEncoder, NodeEncoder
from gia.nn.graph_features import GraphFeatures
from gia.nn.head import PredictionHead
from gia.nn.matching import count_parameters, match_width
from gia.nn.mlp import GINMLP, LinearMLP, ReLUMLP, ShallowMLP, SwiGLU
from gia.nn.models import (
    Chemprop,
    DropoutSamples,
    Ensemble,
    FingerprintBoosting,
    FingerprintExtraTrees,
    FingerprintForest,
    GraphTransformer,
    LanguageModel,
    NGram,
    PooledMLP,
    Several,
    Transformer,
    generate,
)
from gia.nn.norm import RMSNorm
from gia.nn.per_head import PerHeadLinear, PerHeadMLP
from gia.nn.pool import ScaledSumAggregation
from gia.nn.pyg_attention import PyGAttention
from gia.nn.sequence import SequenceBlock, SequenceConv, SequenceLSTM
from gia.nn.stack import Stack

__all__ = [
    "GINMLP",
    "Block",
    "Chemprop",
    "ConvBlock",
    "Dropout",
    "DropoutSamples",
    "EdgeEncoder",
    "EncodingEncoder",
    "Ensemble",
    "FingerprintBoosting",
    "FingerprintExtraTrees",
    "FingerprintForest",
    "GINAttention",
    "GINConv",
    "GINEConv",
    "GPSBlock",
    "GraphAttention",
    "GraphContext",
    "GraphFeatures",
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
    "PlainConvBlock",
    "PooledMLP",
    "PredictionHead",
    "PyGAttention",
    "RMSNorm",
    "ReLUMLP",
    "ScaledSumAggregation",
    "SequenceBlock",
    "SequenceConv",
    "SequenceLSTM",
    "Several",
    "ShallowMLP",
    "SoftmaxAttention",
    "Stack",
    "SwiGLU",
    "Transformer",
    "WeightedSumConv",
    "aggregate",
    "attention_batch",
    "cg_conv",
    "check_embeds",
    "count_parameters",
    "embed",
    "generate",
    "match_width",
    "transformer_conv",
]
