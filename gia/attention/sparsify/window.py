"""Edges by place and not by weight."""

import torch
from torch import Tensor

from gia.attention.sparsify.base import Selection, Weighting
from gia.graph.pair_layout import PairLayout


class Window(Selection):
    """Edges are the candidates with ``|i - j| <= window``.

    Weights are those of attention over all candidates; :class:`~gia.attention.WindowScope` has
    attention look at the window alone, at a cost that is linear in the length.

    Args:
        window (int): How far an edge may reach, at least 0.
        weighting (str): As in :class:`~gia.attention.sparsify.Selection`.
    """

    def __init__(self, window: int, *, weighting: Weighting = "keep"):
        super().__init__(weighting)
        if window < 0:
            raise ValueError(f"window must not be negative, got {window}")
        self.window = window

    def keep(self, weight: Tensor, pairs: PairLayout) -> Tensor:
        near = (pairs.target_position - pairs.source_position).abs() <= self.window
        return near.expand(weight.shape)

    def extra_repr(self) -> str:
        return f"window={self.window}, {super().extra_repr()}"


class DropSinks(Selection):
    """No edges from the first nodes of a sequence, but for their own self loops.

    Causal attention puts what it has no use for on the first token, which then collects edges from
    everywhere: `"Efficient Streaming Language Models with Attention Sinks"
    <https://arxiv.org/abs/2309.17453>`_.

    Args:
        sinks (int): How many of the first nodes, at least 1.
        weighting (str): As in :class:`~gia.attention.sparsify.Selection`.
    """

    def __init__(self, sinks: int = 1, *, weighting: Weighting = "keep"):
        super().__init__(weighting)
        if sinks < 1:
            raise ValueError(f"sinks must be at least 1, got {sinks}")
        self.sinks = sinks

    def keep(self, weight: Tensor, pairs: PairLayout) -> Tensor:
        source, target = pairs.source_position, pairs.target_position
        return ((source >= self.sinks) | (source == target)).expand(weight.shape)

    def extra_repr(self) -> str:
        return f"sinks={self.sinks}, {super().extra_repr()}"


class RandomEdges(Selection):
    """Edges are k candidates of each target and head by chance, anew in every call: an ablation.

    Args:
        k (int): How many, at least 1.
        weighting (str): As in :class:`~gia.attention.sparsify.Selection`.
    """

    def __init__(self, k: int, *, weighting: Weighting = "keep"):
        super().__init__(weighting)
        if k < 1:
            raise ValueError(f"k must be at least 1, got {k}")
        self.k = k

    def keep(self, weight: Tensor, pairs: PairLayout) -> Tensor:
        chance = torch.rand_like(weight).masked_fill(weight == -torch.inf, -torch.inf)
        return pairs.top_k(chance, self.k)

    def extra_repr(self) -> str:
        return f"k={self.k}, {super().extra_repr()}"
