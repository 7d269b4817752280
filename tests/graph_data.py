"""Models of graphs as the command line composes them, and graphs for them."""

from typing import Any

import torch
from hydra.utils import instantiate
from omegaconf import open_dict
from runs import compose_config
from torch import nn
from torch_geometric.data import Data
from torch_geometric.utils import to_undirected

from gia.training.build import plain_model

MODELS = [
    *(
        "graph_transformer",
        "gine",
        "pna",
        "gps",
        "transformer_conv",
        "cgcnn",
        "mixed",
        "pooled_mlp",
    ),
]
# What a datamodule says of graphs with two columns of categories and one of edges.
INPUTS = {
    "vocab_size": 0,
    "node_categories": [5, 3],
    "node_channels": 0,
    "edge_categories": [4],
    "edge_channels": 0,
    "graph_channels": 0,
    "feature_center": [],
    "feature_scale": [],
    "encodings": {"random_walk_pe": 3, "laplacian_eigenvector_pe": 2},
    "ordered": False,
    "level": "graph",
    "target_names": ["y"],
    "class_names": [],
    "out_channels": 2,
    "target_mean": [0.0],
    "target_std": [1.0],
    "degree_histogram": [2, 5, 9, 4, 1],
    "mean_weight": 1.0,
    "class_counts": [],
}
SMALL = ["model.width=16", "model.heads=2", "model.depth=2", "mlp.hidden=12"]


def make(*overrides: str, **inputs: Any) -> nn.Module:
    """A small model: ``make("model=gps", level="node")``."""
    cfg = compose_config("name=test", "run_dir=unused", *SMALL, *overrides)
    with open_dict(cfg):
        cfg.inputs = INPUTS | inputs
    return instantiate(plain_model(cfg))


def graph(nodes: int, edges: int, **inputs: Any) -> Data:
    """A random graph with what :data:`INPUTS` says, or what is said here."""
    known = INPUTS | inputs
    edge_index = torch.randint(0, nodes, (2, edges))
    edge_index = to_undirected(edge_index[:, edge_index[0] != edge_index[1]], num_nodes=nodes)
    number = edge_index.size(1)

    def columns(categories: list[int], channels: int, rows: int) -> torch.Tensor:
        if not categories:
            return torch.randn(rows, channels)
        return torch.stack([torch.randint(0, size, (rows,)) for size in categories], dim=1)

    data = Data(
        x=columns(known["node_categories"], known["node_channels"], nodes),
        edge_index=edge_index,
        **{name: torch.randn(nodes, number) for name, number in known["encodings"].items()},
        seq_pos=torch.arange(nodes),
    )
    if known["edge_categories"] or known["edge_channels"]:
        data.edge_attr = columns(known["edge_categories"], known["edge_channels"], number)
    if known["graph_channels"]:
        data.graph_features = torch.randn(1, known["graph_channels"])
    return data


def random_graphs(**inputs: Any) -> list[Data]:
    """Some graphs, one of a single node and one without edges among them."""
    return [graph(n, e, **inputs) for n, e in ((6, 9), (1, 0), (4, 0), (9, 14), (6, 5))]


def settled(model: nn.Module, graphs: list[Data]) -> nn.Module:
    """The model in eval mode after its batch norms have seen something, as after training."""
    from torch_geometric.data import Batch

    with torch.no_grad():
        model.train()(Batch.from_data_list(graphs))
    return model.eval()
