"""Pairs of nodes side by side: rows of equal length, ``[B, H, R, C]``."""

from functools import cached_property

import torch
from torch import Tensor

from gia.graph.padding import Bucket, Padding
from gia.graph.pair_layout import EndsFunction, KnownEdges, PairClasses, PairLayout
from gia.ops.add_at import add_at
from gia.ops.pair_dots import pair_dots
from gia.ops.row_softmax import row_softmax
from gia.ops.top_k import top_k
from gia.typing import OptTensor


class WholeBlocks:
    """What the blocks of all pairs share, one for each bucket: both ends are laid out at once.

    Args:
        padding (Padding): The buckets.
    """

    def __init__(self, padding: Padding):
        self.padding = padding
        self._last: tuple[Tensor, Tensor, list[tuple[Tensor, ...]]] | None = None
        self._pairs: tuple[Tensor, int, list[tuple[Tensor, Tensor]]] | None = None

    def ends(self, number: int, target: Tensor, source: Tensor) -> tuple[Tensor, ...]:
        """One bucket's part of both, kept from its first bucket to its last."""
        last = self._last
        if last is None or last[0] is not target or last[1] is not source:
            last = target, source, self.padding.pad_heads(_wide(target), _wide(source))
        self._last = last if number + 1 < len(self.padding.buckets) else None
        return last[2][number]

    def pairs(self, number: int, edge_index: Tensor, heads: int) -> tuple[Tensor, Tensor]:
        """One bucket's part of :meth:`Padding.pairs`, which is the same for all layers."""
        known = self._pairs
        if known is None or known[0] is not edge_index or known[1] != heads:
            self._pairs = known = edge_index, heads, self.padding.pairs(edge_index, heads)
        return known[2][number]


class PairBlock(PairLayout):
    """Some rows of some graphs, side by side, and what stands out of them: ``[B, H, R, C]``.

    Args:
        bucket (Bucket): Graphs of similar size.
        graphs (slice): Which of them.
        rows (slice): Which targets of each, by position.
        columns (int): How many sources, from the first.
        heads (int): Heads H.
        whole (WholeBlocks, optional): If they are all rows of a bucket, what all buckets share.
        number (int): Which bucket.

    Attributes:
        allowed (Tensor, optional): Which pairs are candidates, ``[B or 1, 1, R, C]``; None: all.
        free (int): How many columns, from the first, are candidates of every row: the mask need not
            be looked at there.
        occupied (bool): Whether every row has a candidate.
        only_padded (bool): Whether all pairs of nodes are candidates.
    """

    def __init__(
        self,
        bucket: Bucket,
        graphs: slice,
        rows: slice,
        columns: int,
        heads: int,
        whole: "WholeBlocks | None" = None,
        number: int = 0,
    ):
        self.first, self.sizes = bucket.first[graphs], bucket.sizes[graphs]
        self.graphs, self.rows, self.columns, self.heads = graphs, rows, columns, heads
        self.device = bucket.mask.device
        self.mask = bucket.mask[graphs]
        self.allowed: OptTensor = None
        self.free, self.occupied, self.only_padded = 0, False, False
        self.whole, self.number = whole, number
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

    def ends(self, target: Tensor, source: Tensor) -> tuple[Tensor, Tensor]:
        """What the targets' and the sources' heads have, at least in float32.

        ``[N, H, d]`` each to ``[B, H, R, d]`` and ``[B, H, C, d]``.
        """
        if self.whole is not None and target.size(1) == self.heads:
            return self.whole.ends(self.number, target, source)
        rows, columns = self.targets(_wide(target)), self.sources(_wide(source))
        return rows.transpose(1, 2), columns.transpose(1, 2)

    def dots(self, target: Tensor, source: Tensor, scale: float = 1.0) -> Tensor:
        return pair_dots(*self.ends(target, source), scale)

    def of_ends(self, function: EndsFunction, target: Tensor, source: Tensor) -> Tensor:
        target = self.targets(target).unsqueeze(2)  # [B, R, 1, M]
        source = self.sources(source).unsqueeze(1)  # [B, 1, C, M]
        rows = max(self.at_once // max(source.numel(), 1), 1)
        parts = [function(part, source) for part in target.split(rows, dim=1)]
        return torch.cat(parts, dim=1).permute(0, 3, 1, 2)

    def of_edges(self, values: Tensor, edges: KnownEdges, total: OptTensor = None) -> Tensor:
        edge, place = self._places_of(edges.edge_index)
        if total is None:
            total = values.new_zeros(self.shape)
        elif total.shape != self.shape or not total.is_contiguous() or total._is_view():
            total = total.expand(self.shape).clone(memory_format=torch.contiguous_format)
        return add_at(total, values, edge, place)

    def of_classes(self, values: Tensor, classes: PairClasses, total: OptTensor = None) -> Tensor:
        of_pairs = classes.in_block(self, values.dtype)  # [B, K, R C]
        graphs, (heads, pairs) = len(self.first), (self.heads, of_pairs.size(2))
        known = values.t().expand(graphs, heads, -1)
        if total is None:
            return torch.bmm(known, of_pairs).view(self.shape)
        total = total.expand(self.shape).reshape(graphs, heads, pairs)
        return torch.baddbmm(total, known, of_pairs).view(self.shape)

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

    def find(self, edge_index: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Where edges lie in the block: graph (-1: outside), column and row, ``[E]`` each."""
        # Graphs by their first nodes: an edge's is the last that begins before it.
        order = self.first_node.argsort()
        first = self.first_node[order]
        source, target = edge_index
        graph = torch.searchsorted(first, target, right=True) - 1
        known = graph.clamp(min=0)
        begin, size = first[known], torch.tensor(self.sizes, device=self.device)[order][known]
        column, row = source - begin, target - begin
        inside = (graph >= 0) & (row < size)
        row = row - self.rows.start
        height = self.rows.stop - self.rows.start
        inside &= (row >= 0) & (row < height) & (column >= 0) & (column < self.columns)
        return torch.where(inside, order[known], -1), column, row

    def _places_of(self, edge_index: Tensor) -> tuple[Tensor, Tensor]:
        """Which edges lie in the block, ``[E']``, and where along its shape, ``[E', H]``."""
        if self.whole is not None:
            return self.whole.pairs(self.number, edge_index, self.heads)
        if self._places is None or self._places[0] is not edge_index:  # the same for all layers
            graph, column, row = self.find(edge_index)
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

    def hide(self, values: Tensor) -> Tensor:
        """Minus infinity where a softmax must not look, but in rows without any candidate."""
        if self.allowed is None:
            return values
        if self.occupied:
            return self.fill(values, -torch.inf)
        empty = self._forbidden.all(-1, keepdim=True)
        return values.masked_fill(self._forbidden & ~empty, -torch.inf)

    @cached_property
    def _masks(self) -> tuple[Tensor, Tensor]:
        """What a softmax must not see in rows with a candidate, and the rows with one (1 or 0)."""
        if self.only_padded:
            # There is no NaN behind it, and adding is several times faster.
            columns = self.mask[:, None, None, : self.columns]
            hidden = torch.zeros(columns.shape, device=self.device)
            live = self.mask[:, None, self.rows, None].to(hidden.dtype)
            return hidden.masked_fill_(~columns, -torch.inf), live
        empty = self._forbidden.all(-1, keepdim=True)
        return self._forbidden & ~empty, (~empty).to(torch.get_default_dtype())

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
        return row_softmax(values.expand(self.shape), *self._masks)

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


def _wide(x: Tensor) -> Tensor:
    """At least in float32."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
