"""Pairs of nodes one after the other: the layout of graphs that are written out."""

import torch
from torch import Tensor
from torch_geometric.utils import scatter, softmax

from gia.graph.edges import EdgeAdjacency
from gia.graph.pair_layout import EndsFunction, KnownEdges, PairClasses, PairLayout
from gia.ops.csr import CSR
from gia.ops.top_k import top_k_of_rows
from gia.typing import OptTensor


class CSRPairs(PairLayout):
    """Pairs as entries of a sparse matrix, ``[E']``, with a row for each target and head.

    Args:
        edge_index (Tensor): Sources and targets, ``[2, E]``; each pair once.
        first_node (Tensor): First node of each node's graph, ``[N]``.
        heads (int): Heads H.

    Attributes:
        pattern (CSR): The matrix, ``[N H, N H]``: its entries are in the order of its rows.
        edge (Tensor): Which of the E pairs each entry is, ``[E']``.
        head (Tensor): Its head, ``[E']``.
    """

    def __init__(self, edge_index: Tensor, first_node: Tensor, heads: int):
        self.edge_index, self.first_node, self.heads = edge_index, first_node, heads
        head = torch.arange(heads, device=edge_index.device)
        source, target = (end.unsqueeze(1) * heads + head for end in edge_index)  # [E, H]
        size = first_node.numel() * heads
        self.pattern = CSR(target.flatten(), source.flatten(), (size, size))
        entry = self.pattern.arrange(torch.arange(source.numel(), device=head.device))
        self.edge, self.head = entry // heads, entry % heads

    def graph(self, weight: Tensor, keep: OptTensor = None) -> EdgeAdjacency:
        """The pairs, or those of them that are kept, as edges with weights."""
        nodes, heads = self.first_node.numel(), self.heads
        if keep is None:  # all heads share the edges
            weight = self.pattern.restore(weight).view(-1, heads)
            edges = EdgeAdjacency(self.edge_index, weight, num_nodes=nodes)
            edges.use_pattern(nodes, heads, self.pattern)
            return edges
        edge, head = self.edge[keep], self.head[keep]
        return EdgeAdjacency(
            self.edge_index[:, edge], weight[keep], num_nodes=nodes, head=head, num_heads=heads
        )

    def from_edges(self, values: Tensor) -> Tensor:
        """Numbers ``[E, H]`` in the order of the entries, ``[E']``."""
        return values[self.edge, self.head]

    @property
    def shape(self) -> torch.Size:
        return self.edge.shape

    def dots(self, target: Tensor, source: Tensor, scale: float = 1.0) -> Tensor:
        return self.pattern.dots(target.flatten(0, 1), source.flatten(0, 1)) * scale

    def of_ends(self, function: EndsFunction, target: Tensor, source: Tensor) -> Tensor:
        edges = max(self.at_once // max(target.size(1), 1), 1)
        ends = zip(*(end.split(edges) for end in self.edge_index), strict=True)
        parts = [function(target[i], source[j]) for j, i in ends]
        return self.from_edges(torch.cat(parts)) if parts else target.new_zeros(0) + target.sum()

    def of_edges(self, values: Tensor, edges: KnownEdges, total: OptTensor = None) -> Tensor:
        found = self.from_edges(edges.find(values, self.edge_index))
        return found if total is None else total + found

    def of_classes(self, values: Tensor, classes: PairClasses, total: OptTensor = None) -> Tensor:
        found = self.from_edges(values[classes.of_edges(self.edge_index)])
        return found if total is None else total + found

    def fill(self, values: Tensor, value: float) -> Tensor:
        return values

    def softmax(self, values: Tensor) -> Tensor:
        return softmax(values, self.pattern.row, num_nodes=self.pattern.shape[0])

    def row_sum(self, values: Tensor) -> Tensor:
        row = self.pattern.row
        return scatter(values, row, dim_size=self.pattern.shape[0], reduce="sum")[row]

    def count(self) -> Tensor:
        return self.pattern.rowptr.diff()[self.pattern.row]

    def top_k(self, values: Tensor, k: int | Tensor) -> Tensor:
        return top_k_of_rows(values, self.pattern.row, k)

    def per_head(self, values: Tensor) -> Tensor:
        return values[self.head]

    @property
    def target_position(self) -> Tensor:
        target = self.pattern.row // self.heads
        return target - self.first_node[target]

    @property
    def source_position(self) -> Tensor:
        source = self.pattern.col // self.heads
        return source - self.first_node[source]
