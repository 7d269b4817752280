"""What a message-passing layer asks of a graph."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor


class Adjacency(ABC):
    """A weighted directed graph A for each head, known by what it does to node features.

    A layer never asks how the graph is stored. :class:`~gia.graph.EdgeAdjacency` is the
    definition; every other form has the same values and the same gradients.

    Shapes:
        - **x:** features of the source nodes, ``[N, H, d]``
        - **results:** features of the target nodes, ``[N, H, d]``, in the precision of x; 0 where
          a node has no neighbour

    Attributes:
        num_nodes (int): Number of target nodes N.
        has_messages (bool): Whether some edge sends something else than its source's features.
    """

    num_nodes: int
    has_messages = False

    @abstractmethod
    def sum(self, x: Tensor) -> Tensor:
        r""":math:`\sum_j A_{ij} \mathbf{x}_j`, ``[N, H, d]``."""

    @abstractmethod
    def argmax(self, x: Tensor) -> Tensor:
        """The neighbour that holds the largest number of each channel, ``[N, H, d]``; -1 if none.

        The maximum runs over the support, whatever the weights; of ties the highest index is taken.
        """

    def max(self, x: Tensor) -> Tensor:
        r""":math:`\max_{j \in \mathcal{N}(i)} \mathbf{x}_j` for each channel, ``[N, H, d]``.

        The maximum runs over the support, whatever the weights. Where several neighbours tie, the
        gradient goes to the one with the highest index.
        """
        return take(x, self.argmax(x))

    def min(self, x: Tensor) -> Tensor:
        r""":math:`\min_{j \in \mathcal{N}(i)} \mathbf{x}_j`, ties as in `max`, ``[N, H, d]``."""
        return -self.max(-x)

    def extreme(self, x: Tensor, sign: int) -> tuple[Tensor, Tensor]:
        """The maximum (sign 1) or minimum (-1), and the neighbour that sent it (-1: none)."""
        node = self.argmax(x if sign > 0 else -x)
        return take(x, node), node

    def squares(self, x: Tensor) -> Tensor:
        r""":math:`\sum_j A_{ij} \mathbf{x}_j^2`, ``[N, H, d]``."""
        return self.sum(x * x)

    @abstractmethod
    def degree(self) -> Tensor:
        r""":math:`\sum_j |A_{ij}|`, ``[N, H]`` (``[N, 1]`` where all heads share it)."""

    @abstractmethod
    def count(self) -> Tensor:
        """Number of neighbours of each node, ``[N, 1]`` or ``[N, H]``: the size of its support."""

    def per_degree(self, total: Tensor) -> Tensor:
        """A sum over the neighbours divided by the degree, or by 1 where that is 0."""
        degree = self.degree()
        dtype = torch.promote_types(degree.dtype, total.dtype)
        degree = divisor(degree.to(torch.promote_types(dtype, torch.float32)))
        degree = degree.view(*degree.shape, *[1] * (total.dim() - degree.dim()))
        return (total / degree).to(total.dtype)

    def moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        r"""Sum :math:`A\mathbf{x}` and variance
        :math:`\max(0, A\mathbf{x}^2 / \deg - (A\mathbf{x} / \deg)^2)`, ``[N, H, d]`` each."""
        # Half precision has no digits left of that difference: all of it in float32.
        dtype = torch.promote_types(x.dtype, torch.float32)
        with torch.autocast(x.device.type, enabled=False):
            graph, wide = self.in_precision(dtype), x.to(dtype)
            total, square = graph.sum(wide), graph.squares(wide)
            mean = graph.per_degree(total)
            var = torch.addcmul(graph.per_degree(square), mean, mean, value=-1).relu()
        return total.to(x.dtype), var.to(x.dtype)

    @abstractmethod
    def in_precision(self, dtype: torch.dtype) -> "Adjacency":
        """The same graph, at least in a precision."""

    @abstractmethod
    def to_edges(self) -> "Adjacency":
        """The same graph as an :class:`~gia.graph.EdgeAdjacency`: every edge written out."""


def divisor(total: Tensor) -> Tensor:
    """A sum of weights to divide by: 1 where it is 0, or so small that gradients would overflow."""
    limits = torch.finfo(total.dtype)
    return total.masked_fill(total.abs() < limits.tiny / limits.eps, 1)


def take(x: Tensor, node: Tensor) -> Tensor:
    """The numbers of these nodes, channel by channel, ``[N, H, d]``; 0 where there is none (-1)."""
    if x.size(0) == 0:
        return x.new_zeros(node.shape) + x.sum()  # part of autograd's graph
    return x.gather(0, node.clamp(min=0)).masked_fill(node < 0, 0)
