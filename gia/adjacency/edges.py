"""The edge form: a graph written out edge by edge. It defines what every other form must equal."""

import torch
from torch import Tensor
from torch_geometric.utils import degree, scatter

from gia.adjacency.base import Adjacency
from gia.typing import OptTensor


class EdgeAdjacency(Adjacency):
    r"""A graph held as a list of edges with a weight for each edge, or for each edge and head.

    Args:
        edge_index (Tensor): Source and target of each edge, ``[2, E]``.
        edge_weight (Tensor, optional): Learned weights, ``[E]`` or ``[E, H]``; without them every
            edge counts 1.
        num_nodes (int): Number of target nodes N.

    Shapes:
        - **x:** ``[N_source, H, d]``, or any ``[N_source, ...]`` if the weights are ``[E]``

    Raises:
        ValueError: If the shapes or types of the edges and the weights do not fit together.
    """

    def __init__(self, edge_index: Tensor, edge_weight: OptTensor = None, *, num_nodes: int):
        if edge_index.dim() != 2 or edge_index.size(0) != 2:
            raise ValueError(f"edge_index must have shape [2, E], got {list(edge_index.shape)}")
        if edge_index.dtype not in (torch.int64, torch.int32):
            raise ValueError(f"edge_index must hold integers, got {edge_index.dtype}")
        if edge_weight is not None and (
            edge_weight.dim() not in (1, 2) or edge_weight.size(0) != edge_index.size(1)
        ):
            raise ValueError(
                f"edge_weight must have shape [E] or [E, H] with E = {edge_index.size(1)} edges, "
                f"got {list(edge_weight.shape)}"
            )
        self.edge_index = edge_index
        self.edge_weight = edge_weight
        self.num_nodes = num_nodes

    def sum(self, x: Tensor) -> Tensor:
        source, target = self.edge_index
        messages = x.index_select(0, source)  # [E, H, d]
        if self.edge_weight is not None:
            weight = self.edge_weight
            if weight.dim() == 2 and weight.size(1) not in (1, x.size(1)):
                raise ValueError(
                    f"the edges have weights for {weight.size(1)} heads, but the features have "
                    f"{x.size(1)}: give the layer as many heads"
                )
            messages = weight.view(*weight.shape, *[1] * (x.dim() - weight.dim())) * messages
        return self._reduce(messages, target, "sum")

    def max(self, x: Tensor) -> Tensor:
        # Sorted by source (parallel edges keep their order), an edge's position decides ties.
        order = self.edge_index[0].argsort(stable=True)
        source, target = self.edge_index[:, order]
        # NaN counts as the largest, so that it is seen in the result and not passed over.
        comparable = x.detach().nan_to_num(nan=torch.inf, posinf=torch.inf, neginf=-torch.inf)
        messages = comparable.index_select(0, source)  # [E, H, d]
        peak = self._reduce(messages, target, "max")
        position = torch.arange(order.numel(), device=x.device).view(-1, *[1] * (x.dim() - 1))
        reaches = messages == peak.index_select(0, target)
        last = self._reduce(torch.where(reaches, position, -1), target, "max")
        empty = (self.count() == 0).view(-1, *[1] * (x.dim() - 1))
        if source.numel() == 0:
            return x.new_zeros(last.shape) + x[:0].sum()  # 0, and part of x's graph
        winner = source[last]  # the neighbour that holds each channel's maximum, [N, H, d]
        return x.gather(0, winner).masked_fill(empty, 0)

    def degree(self) -> Tensor:
        if self.edge_weight is None:
            return self.count()
        weight = self.edge_weight.abs()
        weight = weight.unsqueeze(1) if weight.dim() == 1 else weight
        return self._reduce(weight, self.edge_index[1], "sum")

    def count(self) -> Tensor:
        dtype = torch.get_default_dtype() if self.edge_weight is None else self.edge_weight.dtype
        return degree(self.edge_index[1], self.num_nodes, dtype=dtype).view(-1, 1)

    def in_precision(self, dtype: torch.dtype) -> "EdgeAdjacency":
        if self.edge_weight is None:
            return self
        weight = self.edge_weight.to(torch.promote_types(self.edge_weight.dtype, dtype))
        return EdgeAdjacency(self.edge_index, weight, num_nodes=self.num_nodes)

    def to_edges(self) -> "EdgeAdjacency":
        return self

    def incidence(self) -> "EdgeAdjacency":
        """The graph in which each edge is a source node of its own, for messages computed per edge.

        ``A.incidence().sum(messages)`` with messages ``[E, H, d]`` aggregates them at their targets
        with A's weights.
        """
        target = self.edge_index[1]
        edge = torch.arange(target.numel(), device=target.device, dtype=target.dtype)
        return EdgeAdjacency(
            torch.stack([edge, target]), self.edge_weight, num_nodes=self.num_nodes
        )

    def _reduce(self, messages: Tensor, target: Tensor, reduce: str) -> Tensor:
        return scatter(messages, target, dim=0, dim_size=self.num_nodes, reduce=reduce)
