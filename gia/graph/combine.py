"""Graphs made of graphs: sums and powers of adjacencies are adjacencies."""

import torch
from torch import Tensor
from torch_geometric.utils import scatter

from gia.graph.base import Adjacency, take
from gia.graph.edges import EdgeAdjacency
from gia.graph.messages import MessageAdjacency
from gia.ops.csr import follow


class SumAdjacency(Adjacency):
    r"""The sum :math:`A + w B` of two graphs over the same nodes, with a weight for each head.

    ``sum`` adds up, ``max`` and ``min`` run over the union of the supports. A pair that both graphs
    join is two parallel edges: it counts twice in ``count``, and ``degree`` adds their absolute
    weights. Where B sends messages of its own, ``max`` and ``min`` compare them with A's features;
    of ties the highest source's is taken, and B's where both have the same source.

    Args:
        first (Adjacency): A.
        second (EdgeAdjacency or MessageAdjacency): B, with weights that all heads share or without
            any.
        weight (Tensor): w, ``[H]``.
    """

    def __init__(self, first: Adjacency, second: EdgeAdjacency | MessageAdjacency, weight: Tensor):
        self.first, self.second, self.weight = first, second, weight
        self.num_nodes = first.num_nodes
        self.has_messages = first.has_messages or second.has_messages

    def sum(self, x: Tensor) -> Tensor:
        # Written out for all channels, [H, d], they are multiplied row by row, not head by head.
        weight = self.weight.unsqueeze(1).to(x.dtype).expand(x.shape[1:]).contiguous()
        return torch.addcmul(self.first.sum(x), weight, self.second.sum(x))

    def squares(self, x: Tensor) -> Tensor:
        second = self.weight.unsqueeze(1).to(x.dtype) * self.second.squares(x)
        return self.first.squares(x) + second

    def max(self, x: Tensor) -> Tensor:
        return self.extreme(x, 1)[0] if self.has_messages else super().max(x)

    def min(self, x: Tensor) -> Tensor:
        return self.extreme(x, -1)[0] if self.has_messages else super().min(x)

    def extreme(self, x: Tensor, sign: int) -> tuple[Tensor, Tensor]:
        if not self.has_messages:
            return super().extreme(x, sign)
        (a, one), (b, other) = (graph.extreme(x, sign) for graph in (self.first, self.second))
        left, right = (
            _comparable(sign * value.detach()).masked_fill(node < 0, -torch.inf)
            for value, node in ((a, one), (b, other))
        )
        is_second = (right > left) | ((right == left) & (other >= one))
        return torch.where(is_second, b, a), torch.where(is_second, other, one)

    def argmax(self, x: Tensor) -> Tensor:
        if self.has_messages:
            return self.extreme(x, 1)[1]
        one, other = self.first.argmax(x), self.second.argmax(x)
        value = _comparable(x.detach())
        a = take(value, one).masked_fill(one < 0, -torch.inf)
        b = take(value, other).masked_fill(other < 0, -torch.inf)
        is_second = (b > a) | ((b == a) & (other > one))
        return torch.where(is_second, other, one)

    def degree(self) -> Tensor:
        return self.first.degree() + self.weight.abs() * self.second.degree()

    def count(self) -> Tensor:
        return self.first.count() + self.second.count()

    def in_precision(self, dtype: torch.dtype) -> "SumAdjacency":
        weight = self.weight.to(torch.promote_types(self.weight.dtype, dtype))
        return SumAdjacency(self.first.in_precision(dtype), self.second.in_precision(dtype), weight)

    def to_edges(self) -> EdgeAdjacency:
        first, heads = self.first.to_edges(), self.weight.numel()
        first = first if first.head is not None else first.with_heads(heads)
        other = self.second.to_edges()
        added, second = other.edge_index, other.edge_weight
        second = self.weight.expand(added.size(1), -1) * (
            1 if second is None else second.unsqueeze(1)
        )
        edge_index, weight, head = first.edge_index, first.edge_weight, first.head
        if head is not None:  # heads have edges of their own
            number = torch.arange(heads, device=head.device)
            head = torch.cat([head, number.repeat(added.size(1))])
            added, second = added.repeat_interleave(heads, dim=1), second.flatten()
        return EdgeAdjacency(
            torch.cat([edge_index, added], dim=1),
            torch.cat([weight, second.to(weight.dtype)]),
            num_nodes=first.num_nodes,
            head=head,
            num_heads=heads if head is not None else None,
        )


def _comparable(value: Tensor) -> Tensor:
    """NaN counts as the largest, so that it is seen in the result and not passed over."""
    return value.nan_to_num(nan=torch.inf, posinf=torch.inf, neginf=-torch.inf)


class HopAdjacency(Adjacency):
    r"""The power :math:`A^k`: what reaches a node along k edges, one after the other.

    For a sum it is never written out: A is applied k times. Under a causal scope it is causal.

    Args:
        adjacency (Adjacency): A.
        hops (int): k, at least 1.

    Raises:
        ValueError: If there is no hop, or A's edges send messages of their own: they have no power.
    """

    def __init__(self, adjacency: Adjacency, hops: int):
        if hops < 1:
            raise ValueError(f"hops must be at least 1, got {hops}")
        if adjacency.has_messages:
            raise ValueError(
                f"a graph whose edges send messages of their own has no power, got hops={hops}: "
                "use hops=1, or input edges without messages (given=added)"
            )
        self.adjacency, self.hops = adjacency, hops
        self.num_nodes = adjacency.num_nodes
        self._edges: EdgeAdjacency | None = None

    def sum(self, x: Tensor) -> Tensor:
        for _ in range(self.hops):
            x = self.adjacency.sum(x)
        return x

    def argmax(self, x: Tensor) -> Tensor:
        return self.to_edges().argmax(x)

    def degree(self) -> Tensor:
        return self.to_edges().degree()

    def count(self) -> Tensor:
        return self.to_edges().count()

    def in_precision(self, dtype: torch.dtype) -> "HopAdjacency":
        return HopAdjacency(self.adjacency.in_precision(dtype), self.hops)

    def to_edges(self) -> EdgeAdjacency:
        if self._edges is None:
            edges = self.adjacency.to_edges()
            weight = edges.edge_weight
            is_shared = edges.head is None and (weight is None or weight.dim() == 1)
            edges = step = (edges.with_heads(1) if is_shared else edges).of_heads()
            for _ in range(self.hops - 1):
                edges = _join(edges, step)
            if is_shared:
                nodes = edges.num_nodes
                edges = EdgeAdjacency(edges.edge_index, edges.edge_weight, num_nodes=nodes)
            self._edges = edges
        return self._edges


def _join(last: EdgeAdjacency, first: EdgeAdjacency) -> EdgeAdjacency:
    """The product of two graphs whose heads have edges of their own: paths of two edges."""
    heads, nodes = last.num_heads, last.num_nodes
    middle, arrival = (
        last.edge_index[0] * heads + last.head,
        first.edge_index[1] * heads + first.head,
    )
    after, before = follow(middle, arrival, nodes * heads)
    source, target, head = first.edge_index[0][before], last.edge_index[1][after], last.head[after]
    # Paths between the same nodes are one edge.
    key, path = torch.unique((target * nodes + source) * heads + head, return_inverse=True)
    weight = last.edge_weight[after] * first.edge_weight[before]
    weight = scatter(weight, path, dim_size=key.numel(), reduce="sum")
    pair = key // heads
    return EdgeAdjacency(
        torch.stack([pair % nodes, pair // nodes]),
        weight,
        num_nodes=nodes,
        head=key % heads,
        num_heads=heads,
    )
