"""The edges that the data comes with."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch_geometric.utils import coalesce

from gia.typing import OptTensor


@dataclass(frozen=True)
class Given:
    """The edges that the data comes with: bonds, contacts, neighbours.

    Attributes:
        edge_index (Tensor): Sources and targets, ``[2, E]``.
        edge_attr (Tensor, optional): What is known of each edge, ``[E, F]``.
    """

    edge_index: Tensor
    edge_attr: OptTensor = None

    def find(self, values: Tensor, edge_index: Tensor, num_nodes: int) -> Tensor:
        """What is known of given edges, ``[E, F]``, where other edges join the same nodes.

        Args:
            values (Tensor): Numbers of the given edges, ``[E, F]``; several between the same nodes
                add up.
            edge_index (Tensor): The other edges, ``[2, E']``, in any order.
            num_nodes (int): Nodes N.

        Returns:
            ``[E', F]``, 0 where no given edge joins the two.
        """
        known, values = coalesce(
            self.edge_index, values, num_nodes=num_nodes, reduce="sum", sort_by_row=False
        )
        found = values.new_zeros(edge_index.size(1), values.size(1))
        if known.size(1) == 0:
            return found + values.sum()  # part of autograd's graph
        key, wanted = (ends[1] * num_nodes + ends[0] for ends in (known, edge_index))
        place = torch.searchsorted(key, wanted).clamp(max=key.numel() - 1)
        return torch.where((key[place] == wanted).unsqueeze(1), values[place], found)

    def check(self, first_node: Tensor) -> None:
        """Raise a ValueError unless each edge joins two nodes of one graph.

        Args:
            first_node (Tensor): First node of each node's graph, ``[N]``.
        """
        edge_index, num_nodes = self.edge_index, first_node.numel()
        if edge_index.dim() != 2 or edge_index.size(0) != 2:
            raise ValueError(f"edge_index must have shape [2, E], got {list(edge_index.shape)}")
        if edge_index.dtype != torch.int64:
            raise ValueError(f"edge_index must be of type torch.int64, got {edge_index.dtype}")
        if self.edge_attr is not None and self.edge_attr.size(0) != edge_index.size(1):
            raise ValueError(
                f"edge_attr has {self.edge_attr.size(0)} rows for {edge_index.size(1)} edges"
            )
        if edge_index.numel() == 0:
            return
        low, high = int(edge_index.min()), int(edge_index.max())
        if low < 0 or high >= num_nodes:
            raise ValueError(
                f"edge_index names node {low if low < 0 else high}, but there are {num_nodes} nodes"
            )
        first = first_node[edge_index]
        crossing = (first[0] != first[1]).nonzero()
        if crossing.numel():
            source, target = edge_index[:, int(crossing[0])].tolist()
            raise ValueError(
                f"the edge from node {source} to node {target} joins two graphs of the batch"
            )
