"""Edges between the neighbours of a sequence."""

import torch
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.transforms import BaseTransform


class Chain(BaseTransform):
    """Join each node of a sequence to its neighbours, in both directions.

    Shapes:
        edge_index: [2, 2 (N - 1)], sorted by source
    """

    def forward(self, data: Data) -> Data:
        data.edge_index = chain(data.num_nodes)
        return data


def chain(length: int) -> Tensor:
    """Edges between neighbours, in both directions, sorted by source.

    Shapes:
        returns: [2, 2 (length - 1)]
    """
    left = torch.arange(length - 1)
    edges = torch.cat([torch.stack([left, left + 1]), torch.stack([left + 1, left])], 1)
    return edges[:, (edges[0] * length + edges[1]).argsort()]
