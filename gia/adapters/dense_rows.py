"""A graph of few targets, held as the weights of all pairs."""

import torch
from torch import Tensor

from gia.graph import Adjacency, EdgeAdjacency


class DenseRows(Adjacency):
    """The graph from all key slots of each sequence to its few new tokens.

    Args:
        weight (Tensor): 0 where there is no edge, ``[B, G, Q, K]`` for G groups of channels.

    Shapes:
        - **x:** ``[B * K, G, d]``
        - **output:** ``[B * Q, G, d]``
    """

    def __init__(self, weight: Tensor):
        self.weight = weight
        self.num_nodes = weight.size(0) * weight.size(2)

    def sum(self, x: Tensor) -> Tensor:
        sequences, groups, queries, keys = self.weight.shape
        x = x.view(sequences, keys, groups, -1)
        if groups == 1:
            out = torch.bmm(self.weight[:, 0].to(x.dtype), x[:, :, 0])
        else:
            out = (self.weight.to(x.dtype) @ x.transpose(1, 2)).transpose(1, 2)
        return out.reshape(sequences * queries, groups, -1)

    def argmax(self, x: Tensor) -> Tensor:
        return self.to_edges().argmax(x)

    def degree(self) -> Tensor:
        return self.weight.sum(-1).movedim(1, -1).flatten(0, 1)

    def count(self) -> Tensor:
        # All groups share the edges, as in the edge form: a pair is one where any group has it.
        return (self.weight != 0).any(1).sum(-1).view(-1, 1).to(self.weight.dtype)

    def in_precision(self, dtype: torch.dtype) -> "DenseRows":
        return DenseRows(self.weight.to(torch.promote_types(self.weight.dtype, dtype)))

    def to_edges(self) -> EdgeAdjacency:
        _, _, queries, keys = self.weight.shape
        sequence, target, source = (self.weight != 0).any(1).nonzero().unbind(1)
        index = torch.stack([sequence * keys + source, sequence * queries + target])
        weight = self.weight[sequence, :, target, source]
        weight = weight.squeeze(1) if weight.size(1) == 1 else weight
        return EdgeAdjacency(index, weight, num_nodes=self.num_nodes)
