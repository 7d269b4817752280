"""Graph-aware transformers: attention layers, blocks and whole models."""

from gia.models.attention import GINAttention, GraphAttention, PNAAttention, SoftmaxAttention
from gia.models.block import Block
from gia.models.encoder import TokenEncoder
from gia.models.generation import generate
from gia.models.graphs import attention_batch
from gia.models.matching import count_parameters, match_width
from gia.models.mlp import GINMLP, LinearMLP, ShallowMLP, SwiGLU
from gia.models.transformer import LanguageModel, Transformer

__all__ = [
    "GINMLP",
    "Block",
    "GINAttention",
    "GraphAttention",
    "LanguageModel",
    "LinearMLP",
    "PNAAttention",
    "ShallowMLP",
    "SoftmaxAttention",
    "SwiGLU",
    "TokenEncoder",
    "Transformer",
    "attention_batch",
    "count_parameters",
    "generate",
    "match_width",
]
