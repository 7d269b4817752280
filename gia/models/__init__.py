"""Graph-aware transformers: attention layers, blocks and whole models."""

from gia.models.attention import GINAttention, GraphAttention, PNAAttention, SoftmaxAttention
from gia.models.baselines import (
    ConvBlock,
    GPSBlock,
    GraphNetwork,
    MLPBlock,
    PooledMLP,
    ReLUMLP,
    transformer_conv,
)
from gia.models.block import Block
from gia.models.encoder import TokenEncoder
from gia.models.features import EdgeEncoder, NodeEncoder
from gia.models.forest import FingerprintForest
from gia.models.generation import generate
from gia.models.graph_transformer import GraphTransformer
from gia.models.graphs import attention_batch
from gia.models.head import PredictionHead
from gia.models.matching import count_parameters, match_width
from gia.models.mlp import GINMLP, LinearMLP, ShallowMLP, SwiGLU
from gia.models.transformer import LanguageModel, Transformer

__all__ = [
    "GINMLP",
    "Block",
    "ConvBlock",
    "EdgeEncoder",
    "FingerprintForest",
    "GINAttention",
    "GPSBlock",
    "GraphAttention",
    "GraphNetwork",
    "GraphTransformer",
    "LanguageModel",
    "LinearMLP",
    "MLPBlock",
    "NodeEncoder",
    "PNAAttention",
    "PooledMLP",
    "PredictionHead",
    "ReLUMLP",
    "ShallowMLP",
    "SoftmaxAttention",
    "SwiGLU",
    "TokenEncoder",
    "Transformer",
    "attention_batch",
    "count_parameters",
    "generate",
    "match_width",
    "transformer_conv",
]
