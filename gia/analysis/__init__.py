"""What a trained model is and does, to look at."""

from gia.analysis.attention_edges import AttentionEdges
from gia.analysis.figures import (
    attention_graph,
    attention_heat_map,
    graph_matrices,
    learning_curves,
    save,
)
from gia.analysis.report import describe_data, ngram_losses, write_report

__all__ = [
    "AttentionEdges",
    "attention_graph",
    "attention_heat_map",
    "describe_data",
    "graph_matrices",
    "learning_curves",
    "ngram_losses",
    "save",
    "write_report",
]
