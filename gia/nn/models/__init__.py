"""Whole models."""

from gia.nn.models.baselines import (
    ConvBlock,
    GPSBlock,
    GraphNetwork,
    MLPBlock,
    PooledMLP,
    ReLUMLP,
    transformer_conv,
)
from gia.nn.models.forest import FingerprintForest
from gia.nn.models.generation import generate
from gia.nn.models.graph_transformer import GraphTransformer
from gia.nn.models.ngram import NGram
from gia.nn.models.transformer import LanguageModel, Transformer

__all__ = [
    "ConvBlock",
    "FingerprintForest",
    "GPSBlock",
    "GraphNetwork",
    "GraphTransformer",
    "LanguageModel",
    "MLPBlock",
    "NGram",
    "PooledMLP",
    "ReLUMLP",
    "Transformer",
    "generate",
    "transformer_conv",
]
