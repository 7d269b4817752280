"""Scopes along a sequence."""

import torch
from torch import Tensor

from gia.attention.scope.base import Scope
from gia.graph.pair_block import PairBlock


class CausalScope(Scope):
    """Each node sees itself and the nodes before it in its own graph: ``j <= i``."""

    causal = True

    def edge_index(self) -> Tensor:
        width = self.count()
        return self._pairs_from(torch.zeros_like(width), width)

    def count(self) -> Tensor:
        return self.node_position + 1


class FullScope(Scope):
    """Each node sees every node of its own graph, itself included."""

    causal = False

    def edge_index(self) -> Tensor:
        width = self.count()
        return self._pairs_from(torch.zeros_like(width), width)

    def count(self) -> Tensor:
        sizes = self.ptr.diff()
        return sizes.repeat_interleave(sizes, output_size=self.num_nodes)


class WindowScope(Scope):
    """Each node sees itself and its neighbours in the sequence: ``|i - j| <= window``.

    Args:
        window (int): How far it sees, at least 0.
        causal (bool): Whether it sees nodes before it only.
        *args, **kwargs: Of :class:`Scope`.
    """

    fusable = False

    def __init__(self, *args, window: int, causal: bool = True, **kwargs):
        if window < 0:
            raise ValueError(f"window must not be negative, got {window}")
        super().__init__(*args, **kwargs)
        self.window, self.causal = window, causal

    @property
    def _bounds(self) -> tuple[Tensor, Tensor]:
        """First and last position that each node sees, ``[N]`` each."""
        position = self.node_position
        last = self.ptr.diff().repeat_interleave(self.ptr.diff(), output_size=self.num_nodes) - 1
        ahead = 0 if self.causal else self.window
        return (position - self.window).clamp(min=0), torch.minimum(position + ahead, last)

    def edge_index(self) -> Tensor:
        first, last = self._bounds
        return self._pairs_from(first, last - first + 1)

    def count(self) -> Tensor:
        first, last = self._bounds
        return last - first + 1

    def _in_reach(self, block: PairBlock) -> Tensor:
        behind = block.target_position - block.source_position
        near = (behind <= self.window) & (behind >= (0 if self.causal else -self.window))
        return near[None, None]
