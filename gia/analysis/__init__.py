"""What a trained model is and does, to look at: pictures, tables and files."""

from gia.analysis.agreement import Agreement, measure_agreement
from gia.analysis.agreement_figures import agreement_heat_maps, agreement_map
from gia.analysis.agreement_measures import agreement
from gia.analysis.attention_edges import AttentionEdges
from gia.analysis.attention_figures import attention_graph, attention_heat_map
from gia.analysis.attribution import (
    OfEncodings,
    integrated_gradients,
    node_encoders,
    occlusion,
)
from gia.analysis.describe import describe_data, filled_notes
from gia.analysis.edge_statistics import edge_statistics
from gia.analysis.embeddings import Embeddings, check_new, embeddings
from gia.analysis.explained_figures import (
    Explained,
    common_scale,
    explained_page,
    explained_row,
)
from gia.analysis.figures import (
    graph_matrices,
    learning_curves,
    save,
)
from gia.analysis.inspection import Inspection, inspect_attention
from gia.analysis.inspection_files import write_inspection
from gia.analysis.item_attention import ItemAttention
from gia.analysis.laws import Finding, check_laws
from gia.analysis.learned_figures import learned_heat_maps
from gia.analysis.molecule_figures import draw_molecule, molecule_attention
from gia.analysis.ngrams import commonest_class, ngram_losses
from gia.analysis.pairs import Pairs, average_product_correction, given_pairs, pairs_of
from gia.analysis.prediction_figures import (
    confusion_matrix,
    parity_plot,
    residual_histogram,
    roc_curves,
)
from gia.analysis.prediction_table import check_out, extend_table, write_csv
from gia.analysis.predictions import Predictions
from gia.analysis.reliability_figures import (
    coverage_plot,
    error_over_uncertainty,
    reliability_diagram,
)
from gia.analysis.rollout import attention_rollout
from gia.analysis.summary import print_costs, print_metrics, write_summary
from gia.analysis.topology import Topology, topology
from gia.analysis.variant_figures import variant_heat_map

__all__ = [
    "Agreement",
    "AttentionEdges",
    "Embeddings",
    "Explained",
    "Finding",
    "Inspection",
    "ItemAttention",
    "OfEncodings",
    "Pairs",
    "Predictions",
    "Topology",
    "agreement",
    "agreement_heat_maps",
    "agreement_map",
    "attention_graph",
    "attention_heat_map",
    "attention_rollout",
    "average_product_correction",
    "check_laws",
    "check_new",
    "check_out",
    "common_scale",
    "commonest_class",
    "confusion_matrix",
    "coverage_plot",
    "describe_data",
    "draw_molecule",
    "edge_statistics",
    "embeddings",
    "error_over_uncertainty",
    "explained_page",
    "explained_row",
    "extend_table",
    "filled_notes",
    "given_pairs",
    "graph_matrices",
    "inspect_attention",
    "integrated_gradients",
    "learned_heat_maps",
    "learning_curves",
    "measure_agreement",
    "molecule_attention",
    "ngram_losses",
    "node_encoders",
    "occlusion",
    "pairs_of",
    "parity_plot",
    "print_costs",
    "print_metrics",
    "reliability_diagram",
    "residual_histogram",
    "roc_curves",
    "save",
    "topology",
    "variant_heat_map",
    "write_csv",
    "write_inspection",
    "write_summary",
]
