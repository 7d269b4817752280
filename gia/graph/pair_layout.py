"""Pairs of nodes and numbers on them, in two layouts that those who use them need not know.

A *row* is what one target and head sees: its candidates. :class:`PairBlock` holds rows of equal
length side by side, ``[B, H, R, C]``; :class:`~gia.graph.csr_pairs.CSRPairs` holds them one after
the other, ``[E']``, one entry for each pair and head.
"""

from abc import ABC, abstractmethod
from functools import cached_property

import torch
from torch import Tensor

from gia.graph.padding import Bucket, send
from gia.ops.move_rows import move_rows
from gia.ops.top_k import top_k
from gia.typing import OptTensor


class PairLayout(ABC):
    """Candidate pairs. Numbers on them come and go in the layout of the class."""

    heads: int

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
    def target_position(self) -> Tensor:
        """Position of the target in its own graph, for each pair (or to be broadcast)."""

    @property
    @abstractmethod
    def source_position(self) -> Tensor:
        """Position of the source in its own graph, for each pair (or to be broadcast)."""


class PairBlock(PairLayout):
    """Some rows of some graphs, side by side, and what stands out of them: ``[B, H, R, C]``.

    Args:
        bucket (Bucket): Graphs of similar size.
        graphs (slice): Which of them.
        rows (slice): Which targets of each, by position.
        columns (int): How many sources, from the first.
        heads (int): Heads H.

    Attributes:
        allowed (Tensor, optional): Which pairs are candidates, ``[B or 1, 1, R, C]``; None: all.
        free (int): How many columns, from the first, are candidates of every row: the mask need not
            be looked at there.
        occupied (bool): Whether every row has a candidate.
        only_padded (bool): Whether all pairs of nodes are candidates.
    """

    def __init__(self, bucket: Bucket, graphs: slice, rows: slice, columns: int, heads: int):
        self.first, self.sizes = bucket.first[graphs], bucket.sizes[graphs]
        self.rows, self.columns, self.heads = rows, columns, heads
        self.device = bucket.mask.device
        self.mask = bucket.mask[graphs]
        self.allowed: OptTensor = None
        self.free, self.occupied, self.only_padded = 0, False, False
        self._moved: tuple[Tensor, Tensor] | None = None
        self._places: tuple[Tensor, tuple[Tensor, Tensor]] | None = None

    @property
    def shape(self) -> torch.Size:
        height = self.rows.stop - self.rows.start
        return torch.Size((len(self.first), self.heads, height, self.columns))

    @cached_property
    def first_node(self) -> Tensor:
        """First node of each graph, ``[B]``."""
        return torch.tensor(self.first, device=self.device)

    @property
    def is_padded(self) -> bool:
        """Whether some rows or columns belong to no node."""
        return min(self.sizes) < max(self.rows.stop, self.columns)

    def target_heads(self, x: Tensor) -> Tensor:
        """What belongs to the heads of the nodes of the rows, ``[N, H, d]`` to ``[B, H, R, d]``."""
        return self._part_of_heads(x, self.rows)

    def source_heads(self, x: Tensor) -> Tensor:
        """What belongs to the heads of the columns' nodes, ``[N, H, d]`` to ``[B, H, C, d]``."""
        return self._part_of_heads(x, slice(0, self.columns))

    def _part_of_heads(self, x: Tensor, part: slice) -> Tensor:
        number, heads = len(self.first), x.size(1)
        # All nodes of several graphs, moved where a product wants them, without a second copy.
        whole = part.start == 0 and part.stop >= max(self.sizes) and heads == self.heads
        if number == 1 or not whole:
            return self._part(x, part).transpose(1, 2)
        node, place = self._nodes(part.stop)
        rows = move_rows(x.flatten(0, 1), node, place, number * heads * part.stop)
        return rows.view(number, heads, part.stop, x.size(2))

    def targets(self, x: Tensor) -> Tensor:
        """What belongs to the nodes of the rows, ``[N, *]`` to ``[B, R, *]``."""
        return self._part(x, self.rows)

    def sources(self, x: Tensor) -> Tensor:
        """What belongs to the nodes of the columns, ``[N, *]`` to ``[B, C, *]``."""
        return self._part(x, slice(0, self.columns))

    def _part(self, x: Tensor, part: slice) -> Tensor:
        start, number = self.first[0], len(self.first)
        if number == 1 and part.stop <= self.sizes[0]:
            return x[start + part.start : start + part.stop].unsqueeze(0)
        position = torch.arange(part.start, part.stop, device=self.device)
        node = (self.first_node.unsqueeze(1) + position).clamp(max=x.size(0) - 1)
        return x[node]  # what is beyond the end of a graph is masked

    def _nodes(self, length: int) -> tuple[Tensor, Tensor]:
        """All nodes and heads of the graphs, ``[N H]``, and their places in ``[B, H, length]``."""
        if self._moved is None:
            # On the host, so that nothing waits for a GPU.
            first, size = torch.tensor([self.first, self.sizes], device="cpu").view(2, -1, 1, 1)
            position = torch.arange(length, device="cpu")
            head = torch.arange(self.heads, device="cpu").unsqueeze(1)
            mask = (position < size).expand(-1, self.heads, -1)
            node = ((first + position) * self.heads + head)[mask]
            place = mask.flatten().nonzero().squeeze(1)
            self._moved = send(node, self.device), send(place, self.device)
        return self._moved

    def add_to_targets(self, buffer: Tensor, values: Tensor, factor: float = 1.0) -> None:
        """Add ``[B, R, *]`` where :meth:`targets` reads, ``[N, *]``."""
        self._add(buffer, values, self.rows, factor)

    def add_to_sources(self, buffer: Tensor, values: Tensor, factor: float = 1.0) -> None:
        """Add ``[B, C, *]`` where :meth:`sources` reads, ``[N, *]``."""
        self._add(buffer, values, slice(0, self.columns), factor)

    def _add(self, buffer: Tensor, values: Tensor, part: slice, factor: float) -> None:
        for graph, (start, size) in enumerate(zip(self.first, self.sizes, strict=True)):
            stop = min(part.stop, size)
            if stop > part.start:
                mine = values[graph, : stop - part.start]
                buffer[start + part.start : start + stop].add_(mine, alpha=factor)

    def find(self, edge_index: Tensor, first_node: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Where edges lie in the block: graph (-1: outside), column and row, ``[E]`` each."""
        graph = first_node.new_full((first_node.numel() + 1,), -1)
        graph[self.first_node] = torch.arange(len(self.first), device=self.device)
        first = first_node[edge_index[1]]
        column, row = edge_index[0] - first, edge_index[1] - first - self.rows.start
        height = self.rows.stop - self.rows.start
        inside = (row >= 0) & (row < height) & (column >= 0) & (column < self.columns)
        return torch.where(inside, graph[first], -1), column, row

    def places_of(self, edge_index: Tensor, first_node: Tensor) -> tuple[Tensor, Tensor]:
        """Which edges lie in the block, ``[E']``, and where along its shape, ``[E', H]``."""
        if self._places is None or self._places[0] is not edge_index:  # the same for all layers
            graph, column, row = self.find(edge_index, first_node)
            edge = (graph >= 0).nonzero().squeeze(1)
            _, heads, rows, columns = self.shape
            head = torch.arange(heads, device=self.device)
            pair = row[edge] * columns + column[edge]
            place = (graph[edge].unsqueeze(1) * heads + head) * (rows * columns)
            self._places = edge_index, (edge, place + pair.unsqueeze(1))
        return self._places[1]

    @cached_property
    def _forbidden(self) -> Tensor:
        return ~self.allowed

    @cached_property
    def _masks(self) -> tuple[Tensor, Tensor]:
        """What a softmax must not see in rows with a candidate, and the rows with one (1 or 0)."""
        empty = self._forbidden.all(-1, keepdim=True)
        hidden = self._forbidden & ~empty
        if self.only_padded:  # there is no NaN behind it, and adding is several times faster
            hidden = torch.zeros(hidden.shape, device=self.device).masked_fill_(hidden, -torch.inf)
        return hidden, (~empty).to(torch.get_default_dtype())

    def fill(self, values: Tensor, value: float) -> Tensor:
        if self.allowed is None:
            return values
        if not self.free:
            return values.masked_fill(self._forbidden, value)
        filled = values.expand(self.shape).clone(memory_format=torch.contiguous_format)
        filled[..., self.free :].masked_fill_(~self.allowed[..., self.free :], value)
        return filled

    def softmax(self, values: Tensor) -> Tensor:
        if self.allowed is None or self.occupied:
            return self.fill(values, -torch.inf).softmax(-1)
        hidden, live = self._masks
        values = values.expand(self.shape)
        if hidden.dtype == torch.bool:
            values = values.masked_fill(hidden, -torch.inf)
        else:
            values = values + hidden.to(values.dtype)
        return values.softmax(-1) * live.to(values.dtype)

    def row_sum(self, values: Tensor) -> Tensor:
        return self.fill(values, 0.0).sum(-1, keepdim=True)

    def count(self) -> Tensor:
        if self.allowed is None:
            return torch.full((1, 1, 1, 1), self.columns, device=self.device)
        return self.allowed.sum(-1, keepdim=True)

    def top_k(self, values: Tensor, k: int | Tensor) -> Tensor:
        return top_k(self.fill(values, -torch.inf), k)

    def per_head(self, values: Tensor) -> Tensor:
        return values.view(-1, 1, 1)

    @property
    def target_position(self) -> Tensor:
        return torch.arange(self.rows.start, self.rows.stop, device=self.device).unsqueeze(1)

    @property
    def source_position(self) -> Tensor:
        return torch.arange(self.columns, device=self.device)

    def edges(self, keep: OptTensor) -> Tensor:
        """The candidates that are kept (all, if None), counted along ``[B, H, R, C]``, ``[E']``."""
        if keep is None:
            keep = self.allowed
        elif self.allowed is not None:
            keep = keep & self.allowed
        if keep is None:
            return torch.arange(self.shape.numel(), device=self.device)
        return keep.expand(self.shape).flatten().nonzero().squeeze(1)

    def places(self, flat: Tensor) -> tuple[Tensor, Tensor]:
        """Row and column of some pairs in the matrix of all heads of all nodes, ``[E']`` each.

        Args:
            flat (Tensor): The pairs, counted along ``[B, H, R, C]``.
        """
        _, heads, rows, columns = self.shape
        rest, column = flat // columns, flat % columns
        rest, row = rest // rows, rest % rows + self.rows.start
        graph, head = rest // heads, rest % heads
        first = self.first_node[graph]
        return (first + row) * heads + head, (first + column) * heads + head
