"""From nodes to predictions."""

from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn.aggr import Aggregation

Level = Literal["graph", "node"]


class PredictionHead(nn.Sequential):
    r""":math:`W_o \, \mathrm{SiLU}(W_i \mathbf{x} + b_i) + b_o` with dropout between.

    Args:
        width (int): Channels D that come in.
        out_channels (int): Channels that go out.
        hidden (int, optional): Hidden channels; left out, as many as come in.
        dropout (float): Dropout on the hidden channels.

    Shapes:
        - **x:** ``[*, D]``
        - **output:** ``[*, out_channels]``
    """

    def __init__(
        self, width: int, out_channels: int, *, hidden: int | None = None, dropout: float = 0.0
    ):
        hidden = width if hidden is None else hidden
        super().__init__(
            nn.Linear(width, hidden),
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

    Shapes:
        - **x:** ``[N, D]``
        - **output:** ``[B, out_channels]``, or ``[N, out_channels]`` for nodes

    Raises:
        ValueError: If the level is neither, or graphs have no ``pool``.
    """

    def __init__(self, head: nn.Module, pool: Aggregation | None = None, level: Level = "graph"):
        super().__init__()
        if level not in get_args(Level):
            raise ValueError(f"level must be 'graph' or 'node', got {level!r}")
        if level == "graph" and pool is None:
            raise ValueError(
                "predictions for graphs need a pool, one of torch_geometric.nn.aggr: without it "
                "use level='node'"
            )
        self.level = level
        self.pool = pool if level == "graph" else None
        self.head = head

    def forward(self, x: Tensor, data: Data) -> Tensor:
        return self.head(self.pooled(x, data))

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
