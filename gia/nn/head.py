"""From nodes to predictions."""

from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn.aggr import Aggregation

from gia.nn.graph_features import GraphFeatures

Level = Literal["graph", "node"]


class PredictionHead(nn.Sequential):
    r""":math:`W_o \, \mathrm{SiLU}(W_i \mathbf{x} + b_i) + b_o` with dropout between.

    Args:
        width (int): Channels D that come in.
        out_channels (int): Channels that go out.
        features (int): Features F of a graph that come in behind them.
        hidden (int, optional): Hidden channels; left out, as many as come in.
        dropout (float): Dropout on the hidden channels.

    Shapes:
        - **x:** ``[*, D + F]``
        - **output:** ``[*, out_channels]``
    """

    def __init__(
        self,
        width: int,
        out_channels: int,
        *,
        features: int = 0,
        hidden: int | None = None,
        dropout: float = 0.0,
    ):
        hidden = width if hidden is None else hidden
        super().__init__(
            nn.Linear(width + features, hidden),
            nn.SiLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, out_channels),
        )


class Readout(nn.Module):
    """A prediction for each graph or for each node.

    Args:
        head (nn.Module): From a vector to the prediction.
        pool (Aggregation, optional): From a graph's nodes to its vector, one of PyG's
            ``torch_geometric.nn.aggr``; left out of predictions for nodes.
        level (str): ``"graph"`` or ``"node"``.
        features (GraphFeatures, optional): Reads ``data.graph_features``, which then stand behind
            a graph's vector; left out where there are none.

    Shapes:
        - **x:** ``[N, D]``, **data.graph_features:** ``[B, F]``
        - **output:** ``[B, out_channels]``, or ``[N, out_channels]`` for nodes

    Raises:
        ValueError: If the level is neither, graphs have no ``pool``, or nodes have features of
            graphs.
    """

    def __init__(
        self,
        head: nn.Module,
        pool: Aggregation | None = None,
        level: Level = "graph",
        features: GraphFeatures | None = None,
    ):
        super().__init__()
        if level not in get_args(Level):
            raise ValueError(f"level must be 'graph' or 'node', got {level!r}")
        if level == "graph" and pool is None:
            raise ValueError(
                "predictions for graphs need a pool, one of torch_geometric.nn.aggr: without it "
                "use level='node'"
            )
        features = features if features is not None and features.channels else None
        if level == "node" and features is not None:
            raise ValueError(
                "features of graphs are for predictions of graphs: with level='node' leave them out"
            )
        self.level, self.features = level, features
        self.pool = pool if level == "graph" else None
        self.head = head

    def forward(self, x: Tensor, data: Data) -> Tensor:
        return self.predict(self.pooled(x, data), data)

    def predict(self, pooled: Tensor, data: Data) -> Tensor:
        """The prediction from the vector of each graph and the features that it has beside."""
        if self.features is not None:
            features = self.features(data.get("graph_features"))
            pooled = torch.cat([pooled, features.to(pooled.dtype)], dim=-1)
        return self.head(pooled)

    def pooled(self, x: Tensor, data: Data) -> Tensor:
        """A vector for each graph, ``[B, D]``; the nodes' as they are where these are asked for."""
        if self.pool is None:
            return x
        batch = data.get("batch")
        if batch is None:  # a single Data is a batch of one
            batch, graphs = torch.zeros(x.size(0), dtype=torch.long, device=x.device), 1
        else:
            graphs = data.ptr.numel() - 1
        return self.pool(x, batch, dim_size=graphs)
