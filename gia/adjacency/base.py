"""What a message-passing layer asks of a graph."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from torch import Tensor

if TYPE_CHECKING:  # the edge form is itself an Adjacency
    from gia.adjacency.edges import EdgeAdjacency


class Adjacency(ABC):
    """A weighted directed graph A for each head, known by what it does to node features.

    A layer never asks how the graph is stored. :class:`~gia.adjacency.EdgeAdjacency` is the
    definition; every other form has the same values and the same gradients.

    Shapes:
        - **x:** features of the source nodes, ``[N, H, d]``
        - **results:** features of the target nodes, ``[N, H, d]``; 0 where a node has no neighbour
    """

    @abstractmethod
    def sum(self, x: Tensor) -> Tensor:
        r""":math:`\sum_j A_{ij} \mathbf{x}_j`, ``[N, H, d]``."""

    @abstractmethod
    def max(self, x: Tensor) -> Tensor:
        r""":math:`\max_{j \in \mathcal{N}(i)} \mathbf{x}_j` for each channel, ``[N, H, d]``.

        The maximum runs over the support, whatever the weights. Where several neighbours tie, the
        gradient goes to the one with the highest index.
        """

    def min(self, x: Tensor) -> Tensor:
        r""":math:`\min_{j \in \mathcal{N}(i)} \mathbf{x}_j`, ties as in `max`, ``[N, H, d]``."""
        return -self.max(-x)

    @abstractmethod
    def degree(self) -> Tensor:
        r""":math:`\sum_j |A_{ij}|`, ``[N, H]`` (``[N, 1]`` where all heads share it)."""

    @abstractmethod
    def count(self) -> Tensor:
        """Number of neighbours of each node, ``[N, 1]``: the size of its support."""

    @abstractmethod
    def to_edges(self) -> "EdgeAdjacency":
        """The same graph with every edge of its support written out."""
