"""Which pairs of nodes may be joined at all, in a ragged batch of graphs."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from gia.adjacency.padding import Padding


class Scope:
    """The pairs of nodes that attention may join, and the padded layout that fused kernels need.

    One scope is made for a batch and serves all its layers, so that what it derives from the sizes
    of the graphs is derived once.

    Args:
        ptr (Tensor): Where each graph starts in the ragged batch, ``[B + 1]``, as in PyG's
            :class:`~torch_geometric.data.Batch`.
        sizes (list of int, optional): Nodes of each graph, where the host knows them; left out,
            they are read from ``ptr``, which waits for a GPU.
        bucketed (bool): As in :class:`~gia.adjacency.padding.Padding`.

    Raises:
        ValueError: If ``ptr`` does not start at 0 or decreases, or ``sizes`` has another length.
    """

    causal: bool

    def __init__(self, ptr: Tensor, sizes: Sequence[int] | None = None, *, bucketed: bool = True):
        self.ptr = ptr
        if sizes is None:
            bounds = ptr.tolist()
            sizes = [stop - start for start, stop in pairwise(bounds)]
            if not bounds or bounds[0] != 0 or min(sizes, default=0) < 0:
                raise ValueError(f"ptr must start at 0 and never decrease, got {bounds}")
        elif len(sizes) != ptr.numel() - 1:
            raise ValueError(f"{len(sizes)} sizes do not fit the {ptr.numel() - 1} graphs of ptr")
        self.sizes = list(sizes)
        self.num_nodes = sum(self.sizes)
        self.max_length = max(self.sizes, default=0)
        self.padding = Padding(self.sizes, ptr.device, bucketed=bucketed)

    @property
    def node_position(self) -> Tensor:
        """Position of each node in its own graph, ``[N]``."""
        return torch.arange(self.num_nodes, device=self.ptr.device) - self._first()

    def edge_index(self) -> Tensor:
        """Every allowed pair as source and target, ``[2, E]``, ordered by target, then source."""
        raise NotImplementedError

    def count(self) -> Tensor:
        """Number of allowed sources of each node, ``[N]``."""
        raise NotImplementedError

    def _first(self) -> Tensor:
        """First node of each node's graph, ``[N]``."""
        return self.ptr[:-1].repeat_interleave(self.ptr.diff(), output_size=self.num_nodes)

    def _pairs(self, width: Tensor) -> Tensor:
        """Join each node i to the first ``width[i]`` nodes of its graph."""
        target = torch.arange(self.num_nodes, device=self.ptr.device).repeat_interleave(width)
        first_edge = (width.cumsum(0) - width).repeat_interleave(width)
        first_node = self._first().repeat_interleave(width)
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
        sizes = self.ptr.diff()
        return sizes.repeat_interleave(sizes, output_size=self.num_nodes)
