"""Graphs that need no matrix: the mean of a few named tokens, or of all earlier ones."""

import torch
from torch import Tensor

from gia.graph import Adjacency, EdgeAdjacency


class FewSources(Adjacency):
    """Each target is sent the mean of a few sources.

    Args:
        source (Tensor): Their key slots, -1 for none, ``[B, Q, k]``.
        keys (int): Key slots K of a sequence.

    Shapes:
        - **x:** ``[B * K, G, d]``
        - **output:** ``[B * Q, G, d]``
    """

    def __init__(self, source: Tensor, keys: int):
        self.source, self.keys = source, keys
        self.num_nodes = source.size(0) * source.size(1)

    def sum(self, x: Tensor) -> Tensor:
        sequences, _, number = self.source.shape
        first = torch.arange(sequences, device=x.device).view(-1, 1, 1) * self.keys
        place = (first + self.source.clamp(min=0)).flatten()
        found = x[place].view(self.num_nodes, number, *x.shape[1:])
        there = (self.source >= 0).view(self.num_nodes, number)
        share = there.to(x.dtype) / there.sum(1, keepdim=True).clamp(min=1)
        return (found * share.view(*share.shape, 1, 1)).sum(1)

    def argmax(self, x: Tensor) -> Tensor:
        return self.to_edges().argmax(x)

    def degree(self) -> Tensor:
        return self.count().clamp(max=1)

    def count(self) -> Tensor:
        return (self.source >= 0).sum(-1).view(-1, 1).float()

    def in_precision(self, dtype: torch.dtype) -> "FewSources":
        return self

    def to_edges(self) -> EdgeAdjacency:
        sequence, target, number = (self.source >= 0).nonzero().unbind(1)
        source = sequence * self.keys + self.source[sequence, target, number]
        target = sequence * self.source.size(1) + target
        weight = 1 / self.count().flatten()[target]
        order = (target * self.source.size(0) * self.keys + source).argsort()
        index = torch.stack([source, target])[:, order]
        return EdgeAdjacency(index, weight[order], num_nodes=self.num_nodes)


class EarlierMean(Adjacency):
    """Each target is sent the mean of the sources in a range before it: a difference of two
    cumulative sums.

    Args:
        first (Tensor): Where the range of each query begins, ``[B or 1, Q]``.
        last (Tensor): The slot after its end, ``[B or 1, Q]``.
        sends (Tensor): Which key slots send at all, of booleans, ``[B or 1, K]``.
        sequences (int): Sequences B.

    Shapes:
        - **x:** ``[B * K, G, d]``
        - **output:** ``[B * Q, G, d]``
    """

    def __init__(self, first: Tensor, last: Tensor, sends: Tensor, sequences: int):
        self.first, self.last, self.sends, self.sequences = first, last, sends, sequences
        self.num_nodes = sequences * first.size(1)
        senders = self._up_to(sends.long())
        self._count = senders.gather(1, last.expand(senders.size(0), -1)) - senders.gather(
            1, first.expand(senders.size(0), -1)
        )  # [B or 1, Q]

    def sum(self, x: Tensor) -> Tensor:
        keys = self.sends.size(1)
        x = x.view(self.sequences, keys, -1)
        total = self._up_to(x * self.sends.unsqueeze(-1))
        shape = self.sequences, -1, x.size(2)
        last = total.gather(1, self.last.unsqueeze(-1).expand(shape))
        first = total.gather(1, self.first.unsqueeze(-1).expand(shape))
        out = (last - first) / self._count.clamp(min=1).unsqueeze(-1)
        return out.view(self.num_nodes, -1, out.size(-1))

    def argmax(self, x: Tensor) -> Tensor:
        return self.to_edges().argmax(x)

    def degree(self) -> Tensor:
        return self.count().clamp(max=1)

    def count(self) -> Tensor:
        return self._count.expand(self.sequences, -1).reshape(-1, 1).float()

    def in_precision(self, dtype: torch.dtype) -> "EarlierMean":
        return self

    def to_edges(self) -> EdgeAdjacency:
        keys, queries = self.sends.size(1), self.first.size(1)
        slot = torch.arange(keys, device=self.sends.device)
        inside = (slot >= self.first.unsqueeze(-1)) & (slot < self.last.unsqueeze(-1))
        inside = (inside & self.sends.unsqueeze(1)).expand(self.sequences, -1, -1)
        sequence, target, source = inside.nonzero().unbind(1)
        index = torch.stack([sequence * keys + source, sequence * queries + target])
        return EdgeAdjacency(index, 1 / self.count().flatten()[index[1]], num_nodes=self.num_nodes)

    @staticmethod
    def _up_to(x: Tensor) -> Tensor:
        """Sums over the slots before each, and before the end, ``[B, K + 1, ...]``."""
        return torch.cat([torch.zeros_like(x[:, :1]), x.cumsum(1)], 1)
