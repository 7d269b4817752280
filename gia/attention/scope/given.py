"""The edges that the data comes with."""

from dataclasses import dataclass

import torch
from torch import Tensor

from gia.graph.edges import EdgeAdjacency
from gia.ops.csr import CSR
from gia.typing import OptTensor


@dataclass(frozen=True)
class InputGraph:
    """The edges that the data comes with: bonds, contacts, neighbours.

    Attributes:
        edge_index (Tensor): Sources and targets, ``[2, E]``.
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
    """The given edges as all layers use them, derived once for a batch.

    Each pair that the data joins is one edge, and what is known of several edges between the same
    nodes adds up. They are ordered by target, then source.

    Args:
        given (InputGraph): The data's edges.
        num_nodes (int): Nodes N.
        causal (bool): Whether edges from later nodes are left out.

    Attributes:
        graph (EdgeAdjacency): The edges, with weight 1; it keeps its sparse matrices.
    """

    def __init__(self, given: InputGraph, num_nodes: int, *, causal: bool = False):
        source, target = given.edge_index
        self._given, self.num_nodes = given, num_nodes
        every = CSR(target, source, (num_nodes, num_nodes))
        key = every.row * num_nodes + every.col  # never decreases
        is_new = torch.ones_like(key, dtype=torch.bool)
        is_new[1:] = key[1:] != key[:-1]
        pair = is_new.cumsum(0) - 1  # which pair each edge joins
        edge = torch.arange(key.numel(), device=key.device) if every.order is None else every.order
        if causal:
            past = every.col <= every.row
            is_new &= past
            pair, edge = (is_new.cumsum(0) - 1)[past], edge[past]
        self.key = key[is_new]
        self.graph = EdgeAdjacency(
            torch.stack([every.col[is_new], every.row[is_new]]), num_nodes=num_nodes
        )
        number, as_they_are = self.key.numel(), given.edge_index.size(1)
        # Which of the data's edges make up which of these; None: each its own, in order.
        self._merged: CSR | None = None
        if number != as_they_are or every.order is not None:
            self._merged = CSR(pair, edge, (number, as_they_are))
        # The kind of each edge; edges between the same nodes add up to none.
        self.kind = None
        if given.kind is not None and edge.numel() == number:
            self.kind = given.kind[edge]
        self._merged_attr: OptTensor = None

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
        attr = self._given.edge_attr
        if attr is None:
            return None
        known = self._merged_attr
        with_gradient = torch.is_grad_enabled() and attr.requires_grad
        if known is None or known.dtype != dtype or with_gradient > known.requires_grad:
            known = attr.to(dtype)
            known = known.unsqueeze(1) if known.dim() == 1 else known.flatten(1)
            if self.kind is None:
                if self._given.kind is not None:
                    known = known[self._given.kind]
                if self._merged is not None:
                    known = self._merged.multiply(None, known)
            self._merged_attr = known
        return known

    def find(self, values: Tensor, edge_index: Tensor) -> Tensor:
        """What is known of the edges, ``[E, F]``, where other edges join the same nodes.

        Args:
            values (Tensor): Numbers of the edges, ``[E, F]``.
            edge_index (Tensor): The other edges, ``[2, E']``, in any order.

        Returns:
            ``[E', F]``, 0 where none of the edges joins the two.
        """
        if self.key.numel() == 0:
            none = values.new_zeros(edge_index.size(1), values.size(1))
            return none + values.sum()  # part of autograd's graph
        wanted = edge_index[1] * self.num_nodes + edge_index[0]
        place = torch.searchsorted(self.key, wanted).clamp(max=self.key.numel() - 1)
        return values[place].masked_fill((self.key[place] != wanted).unsqueeze(1), 0)
