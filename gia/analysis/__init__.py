"""What a trained model is and does, to look at."""

from gia.analysis.attention_edges import AttentionEdges
from gia.analysis.describe import describe_data
from gia.analysis.figures import (
    attention_graph,
    attention_heat_map,
    graph_matrices,
    learning_curves,
    save,
)
from gia.analysis.prediction_figures import (
    confusion_matrix,
    parity_plot,
    residual_histogram,
    roc_curves,
)
from gia.analysis.prediction_report import report_predictions, trivial_metrics
from gia.analysis.prediction_table import check_out, predict_part, predict_table
from gia.analysis.predictions import Predictions, predict
from gia.analysis.report import ngram_losses, write_report

__all__ = [
    "AttentionEdges",
    "Predictions",
    "attention_graph",
    "attention_heat_map",
    "check_out",
    "confusion_matrix",
    "describe_data",
    "graph_matrices",
    "learning_curves",
    "ngram_losses",
    "parity_plot",
    "predict",
    "predict_part",
    "predict_table",
    "report_predictions",
    "residual_histogram",
    "roc_curves",
    "save",
    "trivial_metrics",
    "write_report",
]
