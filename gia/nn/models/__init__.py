"""Whole models."""

from gia.nn.models.boosting import FingerprintBoosting
from gia.nn.models.chemprop import Chemprop
from gia.nn.models.ensemble import DropoutSamples, Ensemble, Several
from gia.nn.models.forest import FingerprintExtraTrees, FingerprintForest
from gia.nn.models.generation import generate
from gia.nn.models.graph_transformer import GraphTransformer
from gia.nn.models.ngram import NGram
from gia.nn.models.pooled_mlp import PooledMLP
from gia.nn.models.transformer import LanguageModel, Transformer

__all__ = [
    "Chemprop",
    "DropoutSamples",
    "Ensemble",
    "FingerprintBoosting",
    "FingerprintExtraTrees",
    "FingerprintForest",
    "GraphTransformer",
    "LanguageModel",
    "NGram",
    "PooledMLP",
    "Several",
    "Transformer",
    "generate",
]
