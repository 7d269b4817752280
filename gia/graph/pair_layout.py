"""Pairs of nodes and numbers on them, in two layouts that those who use them need not know.

A *row* is what one target and head sees: its candidates. :class:`~gia.graph.pair_block.PairBlock`
holds rows of equal length side by side, ``[B, H, R, C]``; :class:`~gia.graph.csr_pairs.CSRPairs`
holds them one after the other, ``[E']``, one entry for each pair and head.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Protocol, TypeAlias

import torch
from torch import Tensor

from gia.typing import OptTensor

EndsFunction: TypeAlias = Callable[[Tensor, Tensor], Tensor]


class KnownEdges(Protocol):
    """Edges of which something is known, ordered by target, then source."""

    edge_index: Tensor

    def find(self, values: Tensor, edge_index: Tensor) -> Tensor:
        """What is known of other edges that join the same nodes, 0 for the rest."""


class PairClasses(Protocol):
    """All pairs of nodes of each graph, each in one of K classes."""

    def of_edges(self, edge_index: Tensor) -> Tensor:
        """The classes of some pairs, ``[2, E]`` to ``[E]``."""

    def in_block(self, block: "PairLayout", dtype: torch.dtype) -> Tensor:
        """The classes of a block's pairs, one hot, ``[B, K, R C]``."""


class PairLayout(ABC):
    """Candidate pairs. Numbers on them come and go in the layout of the class.

    Attributes:
        at_once (int): How many hidden numbers of a function of both ends are held at a time: 16 MB
            of them in float32.
    """

    heads: int
    at_once = 2**22

    @abstractmethod
    def fill(self, values: Tensor, value: float) -> Tensor:
        """Another number where there is no candidate."""

    @abstractmethod
    def softmax(self, values: Tensor) -> Tensor:
        """The softmax over each row's candidates."""

    @abstractmethod
    def row_sum(self, values: Tensor) -> Tensor:
        """The sum over each row's candidates, for each pair of the row (or to be broadcast)."""

    @abstractmethod
    def count(self) -> Tensor:
        """Candidates of each row, for each pair of the row (or to be broadcast)."""

    @abstractmethod
    def top_k(self, values: Tensor, k: int | Tensor) -> Tensor:
        """True at the k largest numbers of each row, of ties the highest sources.

        Candidates at minus infinity are never among them. ``k`` is one number or one for each row,
        in the shape that :meth:`count` has.
        """

    @abstractmethod
    def per_head(self, values: Tensor) -> Tensor:
        """A number for each head, ``[H]``, where its pairs are."""

    @property
    @abstractmethod
    def shape(self) -> torch.Size:
        """Of numbers on the pairs."""

    @abstractmethod
    def dots(self, target: Tensor, source: Tensor, scale: float = 1.0) -> Tensor:
        """``scale`` times the dot product of what both nodes have, ``[N, H, d]`` each.

        At least in float32.
        """

    @abstractmethod
    def of_ends(self, function: EndsFunction, target: Tensor, source: Tensor) -> Tensor:
        """A function of what both nodes have, ``[N, M]`` each, computed for some pairs at a time.

        Args:
            function (callable): From the targets' ``[..., M]`` and the sources', which are
                broadcast, to ``[..., H]``.
        """

    @abstractmethod
    def of_edges(self, values: Tensor, edges: KnownEdges, total: OptTensor = None) -> Tensor:
        """Numbers that are known of some edges, ``[E, H]``, where these join the pair, 0 elsewhere.

        Args:
            edges (KnownEdges): The edges, each pair once, with ``find(values, edge_index)``.
            total (Tensor, optional): What they are added to, which may be overwritten.
        """

    @abstractmethod
    def of_classes(self, values: Tensor, classes: PairClasses, total: OptTensor = None) -> Tensor:
        """The numbers of each pair's class, ``[K, H]``.

        Args:
            classes (PairClasses): The class of each pair.
            total (Tensor, optional): What they are added to, in the precision of the numbers.
        """

    @property
    @abstractmethod
    def target_position(self) -> Tensor:
        """Position of the target in its own graph, for each pair (or to be broadcast)."""

    @property
    @abstractmethod
    def source_position(self) -> Tensor:
        """Position of the source in its own graph, for each pair (or to be broadcast)."""
