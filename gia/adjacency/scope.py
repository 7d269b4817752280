"""Which pairs of nodes may be joined at all, in a ragged batch of graphs."""

from functools import cached_property

import torch
from torch import Tensor


class Scope:
    """The pairs of nodes that attention may join, and the padded layout that fused kernels need.

    One scope is made for a batch and serves all its layers, so that what it derives from ``ptr`` is
    derived once.

    Args:
        ptr (Tensor): Where each graph starts in the ragged batch, ``[B + 1]``, as in PyG's
            :class:`~torch_geometric.data.Batch`.

    Raises:
        ValueError: If ``ptr`` does not start at 0 or decreases.
    """

    causal: bool

    def __init__(self, ptr: Tensor):
        self.ptr = ptr
        sizes = ptr.diff()
        # One transfer to the host for a whole batch: the layout below needs sizes as numbers.
        self.sizes: list[int] = sizes.tolist()
        if ptr.numel() == 0 or int(ptr[0]) != 0 or min(self.sizes, default=0) < 0:
            raise ValueError(f"ptr must start at 0 and never decrease, got {ptr.tolist()}")
        self.num_nodes = sum(self.sizes)
        self.max_length = max(self.sizes, default=0)
        self.ragged = any(size != self.max_length for size in self.sizes)

    @cached_property
    def node_position(self) -> Tensor:
        """Position of each node in its own graph, ``[N]``."""
        starts = self.ptr[:-1].repeat_interleave(self.ptr.diff(), output_size=self.num_nodes)
        return torch.arange(self.num_nodes, device=self.ptr.device) - starts

    @cached_property
    def slot(self) -> Tensor:
        """Row of each node in the padded layout flattened to ``[B * L]``, ``[N]``."""
        graph = torch.arange(len(self.sizes), device=self.ptr.device)
        graph = graph.repeat_interleave(self.ptr.diff(), output_size=self.num_nodes)
        return graph * self.max_length + self.node_position

    @cached_property
    def mask(self) -> Tensor:
        """True where the padded layout holds a node, ``[B, L]``."""
        length = torch.arange(self.max_length, device=self.ptr.device)
        return length < self.ptr.diff().unsqueeze(1)

    def pad(self, x: Tensor) -> Tensor:
        """Ragged ``[N, ...]`` to ``[B, L, ...]`` with zeros; a view where nothing is padded."""
        shape = (len(self.sizes), self.max_length, *x.shape[1:])
        if not self.ragged:
            return x.view(shape)
        padded = x.new_zeros(shape[0] * shape[1], *x.shape[1:])
        return padded.index_copy(0, self.slot, x).view(shape)

    def unpad(self, x: Tensor) -> Tensor:
        """Padded ``[B, L, ...]`` back to ragged ``[N, ...]``."""
        x = x.flatten(0, 1)
        return x.index_select(0, self.slot) if self.ragged else x

    def edge_index(self) -> Tensor:
        """Every allowed pair as source and target, ``[2, E]``, ordered by target, then source."""
        raise NotImplementedError

    def count(self) -> Tensor:
        """Number of allowed sources of each node, ``[N]``."""
        raise NotImplementedError

    def _pairs(self, width: Tensor) -> Tensor:
        """Join each node i to the first ``width[i]`` nodes of its graph."""
        target = torch.arange(self.num_nodes, device=self.ptr.device).repeat_interleave(width)
        first_edge = (width.cumsum(0) - width).repeat_interleave(width)
        first_node = (
            torch.arange(self.num_nodes, device=self.ptr.device) - self.node_position
        ).repeat_interleave(width)
        offset = torch.arange(target.numel(), device=self.ptr.device) - first_edge
        return torch.stack([first_node + offset, target])


class CausalScope(Scope):
    """Each node sees itself and the nodes before it in its own graph: ``j <= i``."""

    causal = True

    def edge_index(self) -> Tensor:
        return self._pairs(self.node_position + 1)

    def count(self) -> Tensor:
        return self.node_position + 1


class FullScope(Scope):
    """Each node sees every node of its own graph, itself included."""

    causal = False

    def edge_index(self) -> Tensor:
        return self._pairs(self.count())

    def count(self) -> Tensor:
        return self.ptr.diff().repeat_interleave(self.ptr.diff(), output_size=self.num_nodes)
