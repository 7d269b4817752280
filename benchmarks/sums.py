"""Sums and maxima over the edges of a graph, each made in several ways, ready to be run.

Edges come to everyone as the graph has them: sorted by target and head, then by source. What a way
of summing needs besides, such as pointers or the transposed graph, it makes in each call, as in a
training step, whose graph is new each time.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from layers import Case, adjacency, causal, inputs
from torch import Tensor
from torch_geometric.utils import scatter

from gia.attention.sparsify import TopK
from gia.graph import EdgeAdjacency

try:
    from torch_sparse import SparseTensor
except ImportError:
    SparseTensor = None
try:
    from torch_scatter import segment_csr
except ImportError:
    segment_csr = None

Step = Callable[[], None]


@dataclass(frozen=True)
class Graph:
    """The strongest edges of causal attention, and what is summed over them.

    Shapes:
        - **x**, **grad:** ``[N, H, d]``
        - **edges.edge_weight**, **edges.head:** ``[E]``
    """

    edges: EdgeAdjacency
    x: Tensor
    grad: Tensor

    @classmethod
    def draw(cls, case: Case, k: int) -> "Graph":
        """The k strongest edges of each node and head, drawn by a layer without training."""
        scope, angles = causal(case)
        x = inputs(case).flatten(0, 1)
        with torch.no_grad():
            edges = adjacency(case, sparsify=TopK(k)).to(x)(x, scope, angles).to_edges()
        x = x.unflatten(1, (case.heads, -1))
        return cls(edges, x.requires_grad_(), torch.randn_like(x))

    def fresh(self) -> EdgeAdjacency:
        """The graph as if it had just been drawn: nothing is known of its order."""
        edges = self.edges
        return EdgeAdjacency(
            edges.edge_index,
            edges.edge_weight,
            num_nodes=edges.num_nodes,
            head=edges.head,
            num_heads=edges.num_heads,
        )

    @property
    def matrix(self) -> tuple[Tensor, Tensor, int]:
        """Rows and columns of the graph in which each head of a node is a node, and how many."""
        edges, heads = self.edges, self.edges.num_heads
        column, row = edges.edge_index * heads + edges.head
        return row, column, edges.num_nodes * heads

    def dense_weight(self) -> Tensor:
        """All weights, ``[H, N, N]``, mostly zeros."""
        edges, nodes = self.edges, self.edges.num_nodes
        weight = edges.edge_weight.new_zeros(edges.num_heads, nodes, nodes)
        source, target = edges.edge_index
        weight[edges.head, target, source] = edges.edge_weight
        return weight


def gia_sum(graph: Graph, weight: Tensor) -> Tensor:
    """gia's own."""
    return graph.fresh().with_weight(weight).sum(graph.x)


def gather_sum(graph: Graph, weight: Tensor) -> Tensor:
    """What PyG's MessagePassing does: gather the sources, multiply, scatter to the targets."""
    row, column, number = graph.matrix
    messages = weight.unsqueeze(1) * graph.x.flatten(0, 1).index_select(0, column)
    return scatter(messages, row, dim_size=number, reduce="sum").view_as(graph.x)


def torch_sparse_sum(graph: Graph, weight: Tensor) -> Tensor:
    """torch-sparse's product of a sparse and a dense matrix."""
    row, column, number = graph.matrix
    matrix = SparseTensor(
        row=row, col=column, value=weight, sparse_sizes=(number, number), is_sorted=True
    )
    return matrix.matmul(graph.x.flatten(0, 1)).view_as(graph.x)


def dense_sum(graph: Graph, weight: Tensor) -> Tensor:
    """A product with the dense matrices ``[H, N, N]``."""
    return (weight @ graph.x.transpose(0, 1)).transpose(0, 1)


def gia_max(graph: Graph) -> Tensor:
    """gia's own."""
    return graph.fresh().max(graph.x)


def scatter_max(graph: Graph) -> Tensor:
    """PyG's maximum over gathered sources."""
    row, column, number = graph.matrix
    messages = graph.x.flatten(0, 1).index_select(0, column)
    return scatter(messages, row, dim_size=number, reduce="max").view_as(graph.x)


def segment_max(graph: Graph) -> Tensor:
    """torch-scatter's maximum over gathered sources that are sorted by target."""
    row, column, number = graph.matrix
    messages = graph.x.flatten(0, 1).index_select(0, column)
    pointers = torch.searchsorted(row, torch.arange(number + 1))
    return segment_csr(messages, pointers, reduce="max").view_as(graph.x)


# None: not installed.
SUMS = {"gather": gather_sum, "torch_sparse": torch_sparse_sum if SparseTensor else None}
MAXIMA = {"scatter_max": scatter_max, "segment_max": segment_max if segment_csr else None}


def summing(graph: Graph, way: Callable[[Graph, Tensor], Tensor], weight: Tensor) -> Step:
    """A call: forward and backward, with gradients of the features and of the weights."""
    weight = weight.detach().requires_grad_()

    def step() -> None:
        graph.x.grad = weight.grad = None
        way(graph, weight).backward(graph.grad)

    return step


def maximum(graph: Graph, way: Callable[[Graph], Tensor]) -> Step:
    """A call: forward and backward, with gradients of the features."""

    def step() -> None:
        graph.x.grad = None
        way(graph).backward(graph.grad)

    return step
