"""The edge form: a graph written out edge by edge. It defines what every other form must equal."""

from functools import cached_property

import torch
from torch import Tensor
from torch_geometric.utils import coalesce, degree, scatter

from gia.graph.base import Adjacency
from gia.graph.edge_sources import EdgeSources
from gia.graph.sorted_csr import MessageCSR
from gia.ops.csr import CSR
from gia.ops.definition import defined_by
from gia.typing import OptTensor


class EdgeAdjacency(Adjacency):
    r"""A graph held as a list of edges with a weight for each edge, or for each edge and head.

    Args:
        edge_index (Tensor): Source and target of each edge, ``[2, E]``.
        edge_weight (Tensor, optional): Learned weights, ``[E]`` or ``[E, H]``; without them every
            edge counts 1.
        num_nodes (int): Number of target nodes N.
        head (Tensor, optional): The one head that each edge belongs to, ``[E]``, where heads have
            edges of their own, with weights ``[E]``; left out, all heads share the edges.
        num_heads (int): Heads H; asked for with ``head`` only.

    Shapes:
        - **x:** ``[N_source, H, d]``, or any ``[N_source, ...]`` if heads share edges and weights

    Raises:
        ValueError: If the shapes or types of the edges and the weights do not fit together.
    """

    def __init__(
        self,
        edge_index: Tensor,
        edge_weight: OptTensor = None,
        *,
        num_nodes: int,
        head: OptTensor = None,
        num_heads: int | None = None,
    ):
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
        if head is not None and (
            num_heads is None or edge_weight is None or edge_weight.dim() != 1
        ):
            raise ValueError("edges of single heads need num_heads and weights of shape [E]")
        self.edge_index = edge_index
        self.edge_weight = edge_weight
        self.num_nodes = num_nodes
        self.head = head
        self.num_heads = num_heads
        self._patterns: dict[tuple[int, int], CSR] = {}
        self._incidence: EdgeAdjacency | None = None

    def sum(self, x: Tensor) -> Tensor:
        total = self._multiply(x)
        # Weights may be more precise than features: the sum is rounded once, at the end.
        return total.to(x.dtype) if x.is_floating_point() else total

    def argmax(self, x: Tensor) -> Tensor:
        # NaN counts as the largest, so that it is seen in the result and not passed over.
        x = x.detach().nan_to_num(nan=torch.inf, posinf=torch.inf, neginf=-torch.inf)
        heads = 1 if self.head is None else self._heads_apart(x)  # weights have no say
        pattern = self._pattern(x.size(0), heads)
        winner = pattern.argmax(_rows(x, heads))
        winner = torch.where(winner < 0, winner, winner // heads)
        return winner.view(self.num_nodes, *x.shape[1:])

    def degree(self) -> Tensor:
        if self.edge_weight is None:
            return self.count()
        row, number = self._targets()
        total = scatter(self.edge_weight.abs(), row, dim_size=number, reduce="sum")
        return total if total.dim() == 2 else total.view(self.num_nodes, self._places)

    def count(self) -> Tensor:
        dtype = torch.get_default_dtype() if self.edge_weight is None else self.edge_weight.dtype
        return degree(*self._targets(), dtype=dtype).view(self.num_nodes, self._places)

    def in_precision(self, dtype: torch.dtype) -> "EdgeAdjacency":
        if self.edge_weight is None:
            return self
        return self.with_weight(
            self.edge_weight.to(torch.promote_types(self.edge_weight.dtype, dtype))
        )

    def to_edges(self) -> "EdgeAdjacency":
        return self

    def above(self, threshold: float) -> "EdgeAdjacency":
        """The edges whose weight is above a threshold."""
        weight = self.edge_weight
        if weight is None:
            weight = torch.ones(self.edge_index.size(1), device=self.edge_index.device)
        return self.with_weight(weight).select(weight > threshold)

    def with_weight(self, edge_weight: OptTensor) -> "EdgeAdjacency":
        """The same edges with other weights."""
        other = EdgeAdjacency(
            self.edge_index,
            edge_weight,
            num_nodes=self.num_nodes,
            head=self.head,
            num_heads=self.num_heads,
        )
        if (edge_weight is None) == (self.edge_weight is None) and (
            edge_weight is None or edge_weight.dim() == self.edge_weight.dim()
        ):
            other._patterns = self._patterns
        return other

    def row_sum(self, values: Tensor) -> Tensor:
        """The sum of numbers over the edges that arrive at the same node and head, for each edge.

        Numbers are ``[E]`` where heads have edges of their own, otherwise ``[E]`` or ``[E, H]``.
        """
        row, number = self._targets()
        return scatter(values, row, dim_size=number, reduce="sum")[row]

    def take(self, edge: Tensor) -> "EdgeAdjacency":
        """Some edges by their numbers, ``[E']``, or True for those that are kept, ``[E]``."""
        weight, head = (
            part if part is None else part[edge] for part in (self.edge_weight, self.head)
        )
        return EdgeAdjacency(
            self.edge_index[:, edge],
            weight,
            num_nodes=self.num_nodes,
            head=head,
            num_heads=self.num_heads,
        )

    def select(self, keep: Tensor) -> "EdgeAdjacency":
        """Only some edges, ``keep [E]``, or of each head, ``[E, H]``."""
        if keep.dim() == 1:
            return self.take(keep)
        edge, head = keep.nonzero().unbind(1)
        weight = self.with_heads(keep.size(1)).edge_weight[edge, head]
        return EdgeAdjacency(
            self.edge_index[:, edge],
            weight,
            num_nodes=self.num_nodes,
            head=head,
            num_heads=keep.size(1),
        )

    def of_heads(self) -> "EdgeAdjacency":
        """The same graph with edges of one head each; a ValueError without weights ``[E, H]``."""
        if self.head is not None:
            return self
        if self.edge_weight is None or self.edge_weight.dim() != 2:
            raise ValueError("edges of single heads need weights [E, H]: see with_heads")
        return self.select(torch.ones_like(self.edge_weight, dtype=torch.bool))

    def with_heads(self, heads: int) -> "EdgeAdjacency":
        """The same shared edges with a weight for each head, ``[E, H]``."""
        weight = self.edge_weight
        if weight is None:
            weight = torch.ones(self.edge_index.size(1), device=self.edge_index.device)
        weight = weight.unsqueeze(1) if weight.dim() == 1 else weight
        return self.with_weight(weight.expand(-1, heads))

    def joined(self) -> "EdgeAdjacency":
        """All heads on the same edges, with a weight of 0 where a head has none: for export.

        Each pair is an edge once, ordered by target, then source, with weights ``[E, H]``.
        """
        if self.head is None:
            sources = self.edge_index[0]  # there may be more of them than targets
            nodes = max(self.num_nodes, int(sources.max()) + 1 if sources.numel() else 0)
            order = self.edge_index[1].long() * nodes + sources
            if bool((order[1:] > order[:-1]).all()):
                return self
            shared = self.edge_weight is None or self.edge_weight.dim() == 1
            edges = self.with_heads(1) if shared else self
            edge_index, weight = coalesce(
                edges.edge_index, edges.edge_weight, num_nodes=nodes, sort_by_row=False
            )
            weight = weight.squeeze(1) if shared else weight
            return EdgeAdjacency(edge_index, weight, num_nodes=self.num_nodes)
        weight = self.edge_weight.new_zeros(self.edge_index.size(1), self.num_heads)
        edge = torch.arange(self.head.numel(), device=self.head.device)
        weight = weight.index_put((edge, self.head), self.edge_weight)
        edge_index, weight = coalesce(self.edge_index, weight, sort_by_row=False)
        return EdgeAdjacency(edge_index, weight, num_nodes=self.num_nodes)

    def incidence(self) -> "EdgeAdjacency":
        """The graph in which each edge is a source node of its own, for messages computed per edge.

        ``A.incidence().sum(messages)`` with messages ``[E, H, d]`` aggregates them at their targets
        with A's weights.
        """
        if self._incidence is None:
            target = self.edge_index[1]
            edge = torch.arange(target.numel(), device=target.device, dtype=target.dtype)
            self._incidence = EdgeAdjacency(
                torch.stack([edge, target]),
                self.edge_weight,
                num_nodes=self.num_nodes,
                head=self.head,
                num_heads=self.num_heads,
            )
            for (_, heads), known in self._patterns.items():
                if heads == 1 and known.order is None:  # the edges come in order already
                    matrix = MessageCSR(known.row, known.rowptr)
                    self._incidence.use_pattern(target.numel(), 1, matrix)
        return self._incidence

    def use_pattern(self, sources: int, heads: int, pattern: CSR) -> None:
        """Take the sparse matrix of the graph from where it is known already."""
        self._patterns[sources, heads] = pattern

    @cached_property
    def sources(self) -> EdgeSources:
        """What the edges read, for messages that are made edge by edge."""
        return EdgeSources(self.edge_index[0].long())

    @property
    def _places(self) -> int:
        """Where an edge may arrive at a node: a place for each head that has edges of its own."""
        return 1 if self.head is None else self.num_heads

    def _targets(self) -> tuple[Tensor, int]:
        """The place where each edge arrives, ``[E]``, and the number of places."""
        target = self.edge_index[1]
        place = target if self.head is None else target * self.num_heads + self.head
        return place, self.num_nodes * self._places

    def _heads_apart(self, x: Tensor) -> int:
        """Rows of the sparse matrix for each node: 1 if the heads share edges and weights."""
        weight = self.edge_weight
        if self.head is None and (weight is None or weight.dim() == 1 or weight.size(1) == 1):
            return 1
        heads = self.num_heads if self.head is not None else weight.size(1)
        if x.dim() < 2 or x.size(1) != heads:
            raise ValueError(
                f"the edges have weights for {heads} heads, but the features have "
                f"{x.size(1) if x.dim() > 1 else 1}: give the layer as many heads"
            )
        return heads

    def _pattern(self, sources: int, heads: int) -> CSR:
        """The sparse matrix of the graph in which each head of a node is a node, ``[N H, N H]``."""
        found = self._patterns.get((sources, heads))
        if found is None:
            source, target = self.edge_index.long()
            if heads > 1:
                head = self.head
                if head is None:
                    head = torch.arange(heads, device=source.device)
                    source, target = source.unsqueeze(1), target.unsqueeze(1)
                source, target = source * heads + head, target * heads + head
            shape = (self.num_nodes * heads, sources * heads)
            found = CSR(target.flatten(), source.flatten(), shape)
            self._patterns[sources, heads] = found
        return found

    def _gather_multiply_scatter(self, x: Tensor) -> Tensor:
        """The sum as it is defined."""
        source, target = self.edge_index
        weight = self.edge_weight
        self._heads_apart(x)
        if self.head is not None:
            messages = weight.unsqueeze(1) * x[source, self.head]
            row, number = self._targets()
            total = scatter(messages, row, dim_size=number, reduce="sum")
            return total.view(self.num_nodes, *x.shape[1:])
        messages = x.index_select(0, source)  # [E, H, d]
        if weight is not None:
            messages = weight.view(*weight.shape, *[1] * (x.dim() - weight.dim())) * messages
        return scatter(messages, target, dim=0, dim_size=self.num_nodes, reduce="sum")

    @defined_by(_gather_multiply_scatter)
    def _multiply(self, x: Tensor) -> Tensor:
        """The sum as a product with a sparse matrix."""
        heads = self._heads_apart(x)
        pattern = self._pattern(x.size(0), heads)
        weight = self.edge_weight
        if weight is not None:
            weight = pattern.arrange(weight.flatten())
        return pattern.multiply(weight, _rows(x, heads)).view(self.num_nodes, *x.shape[1:])


def _rows(x: Tensor, heads: int) -> Tensor:
    """A row for each node, or for each node and head."""
    return x.reshape(x.size(0) * heads, x.shape[1:].numel() // heads)
