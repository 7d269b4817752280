"""The edges that the data comes with."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from gia.graph.edges import EdgeAdjacency
from gia.ops.csr import CSR
from gia.typing import OptTensor


@dataclass(frozen=True)
class InputGraph:
    """The edges that the data comes with: bonds, contacts, neighbours.

    Attributes:
        edge_index (Tensor): Sources and targets, ``[2, E]``; several edges may join the same nodes.
        edge_attr (Tensor, optional): What is known of each edge, ``[E, F]``, or of each kind of
            edge.
        kind (Tensor, optional): The row of ``edge_attr`` that each edge has, ``[E]``: what is
            computed from attributes is then computed once for each kind.
    """

    edge_index: Tensor
    edge_attr: OptTensor = None
    kind: OptTensor = None

    def check(self, first_node: Tensor) -> None:
        """Raise a ValueError unless each edge joins two nodes of one graph.

        Args:
            first_node (Tensor): First node of each node's graph, ``[N]``.
        """
        edge_index, num_nodes = self.edge_index, first_node.numel()
        if edge_index.dim() != 2 or edge_index.size(0) != 2:
            raise ValueError(f"edge_index must have shape [2, E], got {list(edge_index.shape)}")
        if edge_index.dtype != torch.int64:
            raise ValueError(f"edge_index must be of type torch.int64, got {edge_index.dtype}")
        rows = self.edge_attr if self.kind is None else self.kind
        if rows is not None and rows.size(0) != edge_index.size(1):
            name = "edge_attr" if self.kind is None else "kind"
            raise ValueError(f"{name} has {rows.size(0)} rows for {edge_index.size(1)} edges")
        if edge_index.numel() == 0:
            return
        low, high = int(edge_index.min()), int(edge_index.max())
        if low < 0 or high >= num_nodes:
            raise ValueError(
                f"edge_index names node {low if low < 0 else high}, but there are {num_nodes} nodes"
            )
        first = first_node[edge_index]
        crossing = (first[0] != first[1]).nonzero()
        if crossing.numel():
            source, target = edge_index[:, int(crossing[0])].tolist()
            raise ValueError(
                f"the edge from node {source} to node {target} joins two graphs of the batch"
            )


class InputEdges:
    """The input graph as all layers use it, derived once for a batch.

    Its edges are ordered by target, then source. Parallel edges, which join the same nodes (bonds
    of a ring with its own image in a crystal, several relations), stay parallel: each sends its own
    message and counts. Where a number is looked up for a pair of nodes, theirs add up.

    Args:
        graph (InputGraph): The data's edges.
        num_nodes (int): Nodes N.
        causal (bool): Whether edges from later nodes are left out.

    Attributes:
        graph (EdgeAdjacency): The edges, with weight 1; it keeps its sparse matrices.
        key (Tensor): A number for the pair that each edge joins, ``[E]``, never decreasing.
        kind (Tensor, optional): The kind of each edge, ``[E]``.
    """

    def __init__(self, graph: InputGraph, num_nodes: int, *, causal: bool = False):
        source, target = graph.edge_index
        self._input, self.num_nodes = graph, num_nodes
        every = CSR(target, source, (num_nodes, num_nodes))
        target, source = every.row, every.col
        self._order: OptTensor = every.order  # which of the data's edges each is; None: in order
        if causal:
            past = source <= target
            edge = torch.arange(past.numel(), device=past.device)
            self._order = (edge if self._order is None else self._order)[past]
            target, source = target[past], source[past]
        self.graph = EdgeAdjacency(torch.stack([source, target]), num_nodes=num_nodes)
        self.key = target * num_nodes + source
        kind = graph.kind
        self.kind = kind if kind is None or self._order is None else kind[self._order]
        self._known: OptTensor = None

    @property
    def edge_index(self) -> Tensor:
        """Sources and targets, ``[2, E]``."""
        return self.graph.edge_index

    def attr(self, dtype: torch.dtype) -> OptTensor:
        """What is known of each edge, ``[E, F]``, in a precision; None if nothing is."""
        known = self.attr_of_kinds(dtype)
        return known if known is None or self.kind is None else known[self.kind]

    def attr_of_kinds(self, dtype: torch.dtype) -> OptTensor:
        """What is known of each :attr:`kind` of edge; without kinds, of each edge."""
        attr = self._input.edge_attr
        if attr is None:
            return None
        known = self._known
        with_gradient = torch.is_grad_enabled() and attr.requires_grad
        if known is None or known.dtype != dtype or with_gradient > known.requires_grad:
            known = attr.to(dtype)
            known = known.unsqueeze(1) if known.dim() == 1 else known.flatten(1)
            if self.kind is None and self._order is not None:
                # As a product, whose gradient is several times faster than that of an index.
                known = self._moved.multiply(None, known)
            self._known = known
        return known

    def find(self, values: Tensor, edge_index: Tensor) -> Tensor:
        """What is known of pairs of nodes: numbers of parallel edges add up.

        Args:
            values (Tensor): Numbers of the edges, ``[E, F]``.
            edge_index (Tensor): The pairs, ``[2, E']``, in any order.

        Returns:
            ``[E', F]``, 0 where none of the edges joins the two.
        """
        key, total = self._pairs
        if key.numel() == 0:
            none = values.new_zeros(edge_index.size(1), values.size(1))
            return none + values.sum()  # part of autograd's graph
        if total is not None:
            values = total.multiply(None, values)
        wanted = edge_index[1] * self.num_nodes + edge_index[0]
        place = torch.searchsorted(key, wanted).clamp(max=key.numel() - 1)
        return values[place].masked_fill((key[place] != wanted).unsqueeze(1), 0)

    def along(self, edges: EdgeAdjacency, values: Tensor) -> tuple[EdgeAdjacency, Tensor]:
        """Another graph over the same nodes with what is known of its edges, for messages.

        An edge that joins nodes which several input edges join becomes as many parallel edges, each
        with its weight.

        Args:
            edges (EdgeAdjacency): The other graph.
            values (Tensor): Numbers of the input edges, ``[E, F]``.

        Returns:
            The graph, and ``[E', F]`` for its edges, 0 where no input edge joins the two.
        """
        if self._pairs[1] is None:
            return edges, self.find(values, edges.edge_index)
        wanted = edges.edge_index[1] * self.num_nodes + edges.edge_index[0]
        first = torch.searchsorted(self.key, wanted)
        number = torch.searchsorted(self.key, wanted, right=True) - first
        times = number.clamp(min=1)
        edge = torch.arange(times.numel(), device=times.device).repeat_interleave(times)
        begin = (times.cumsum(0) - times)[edge]
        place = first[edge] + torch.arange(edge.numel(), device=edge.device) - begin
        values = values[place.clamp(max=self.key.numel() - 1)]
        return edges.take(edge), values.masked_fill((number[edge] == 0).unsqueeze(1), 0)

    @cached_property
    def _moved(self) -> CSR:
        """The matrix that brings what is known of the data's edges into the order of these."""
        number = self._order.numel()
        place = torch.arange(number, device=self._order.device)
        return CSR(place, self._order, (number, self._input.edge_index.size(1)))

    @cached_property
    def _pairs(self) -> tuple[Tensor, CSR | None]:
        """Each pair's key once, and the matrix that adds up its edges; None: all have one edge."""
        is_new = torch.ones_like(self.key, dtype=torch.bool)
        is_new[1:] = self.key[1:] != self.key[:-1]
        key, number = self.key[is_new], self.key.numel()
        if key.numel() == number:
            return self.key, None
        edge = torch.arange(number, device=key.device)
        return key, CSR(is_new.cumsum(0) - 1, edge, (key.numel(), number))
