"""Scopes along a sequence."""

import torch
from torch import Tensor

from gia.attention.scope.compose import Scope


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

    def sees(self, target: Tensor, source: Tensor) -> Tensor:
        behind = target - source
        return (behind <= self.window) & (behind >= (0 if self.causal else -self.window))


class GlobalScope(Scope):
    """The first nodes of a graph see all of it and are seen by all; every node sees itself.

    From `"Longformer" <https://arxiv.org/abs/2004.05150>`_, beside a window.

    Args:
        nodes (int): How many of the first nodes, at least 1.
        causal (bool): Whether a node sees none after it: the first are then seen by all, and see no
            more than others.
        *args, **kwargs: Of :class:`Scope`.
    """

    fusable = False

    def __init__(self, *args, nodes: int = 1, causal: bool = False, **kwargs):
        if nodes < 1:
            raise ValueError(f"nodes must be at least 1, got {nodes}")
        super().__init__(*args, **kwargs)
        self.nodes, self.causal = nodes, causal

    def edge_index(self) -> Tensor:
        width = self._width
        seen = self._pairs_from(torch.zeros_like(width), width)
        node = (self.node_position >= width).nonzero().squeeze(1)  # that do not see themselves yet
        source, target = torch.cat([seen, node.expand(2, -1)], dim=1)
        order = (target * self.num_nodes + source).argsort()
        return torch.stack([source[order], target[order]])

    def count(self) -> Tensor:
        return self._width + (self.node_position >= self._width)

    def sees(self, target: Tensor, source: Tensor) -> Tensor:
        seen = (source < self.nodes) | (source == target)
        if self.causal:
            return seen & (source <= target)
        return seen | (target < self.nodes)

    @property
    def _width(self) -> Tensor:
        """How many nodes from the first each one sees, ``[N]``."""
        position, size = self.node_position, self.ptr.diff()
        size = size.repeat_interleave(size, output_size=self.num_nodes)
        if self.causal:
            return (position + 1).clamp(max=self.nodes)
        return torch.where(position < self.nodes, size, size.clamp(max=self.nodes))
