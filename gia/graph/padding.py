"""From a ragged batch to padded tensors and back, with little padding."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from math import inf

import torch
from torch import Tensor

from gia.ops.lay_out import lay_out
from gia.ops.move_rows import move_rows

# One more call of a kernel costs about as much as attention over this many pairs of nodes.
PAIRS_PER_CALL = 128**2


@dataclass(frozen=True)
class Bucket:
    """Graphs of similar size, side by side in one padded tensor.

    Attributes:
        mask (Tensor): True where there is a node, ``[B, L]``: its shape is the bucket's.
        full (bool): Whether nothing is padded.
        first (list of int): First node of each graph in the ragged batch.
        sizes (list of int): Nodes of each graph.
    """

    mask: Tensor
    full: bool
    first: list[int]
    sizes: list[int]


class Padding:
    """The padded layout of a ragged batch: graphs of similar size share a bucket.

    A kernel that wants ``[B, L, ...]`` is called once a bucket, so that one large graph does not
    make all others as large as itself. Graphs without nodes are in no bucket.

    Args:
        sizes (list of int): Nodes of each graph, on the host: nothing waits for a GPU.
        device (torch.device): Where the nodes are.
        bucketed (bool): False puts all graphs into one bucket and always says that some of it is
            padding: for compiled code, which is made for one such case.

    Attributes:
        buckets (list of Bucket): The largest graphs first.
        row (Tensor, optional): Row of each node among those of all buckets, ``[N]``; None if every
            node is in its place as it is.
    """

    def __init__(self, sizes: Sequence[int], device: torch.device, *, bucketed: bool = True):
        self._sizes, self._device = sizes, device
        self._layouts: dict[int, tuple[list[Tensor], Tensor]] = {}
        order = sorted(range(len(sizes)), key=lambda graph: -sizes[graph])  # stable
        order = [graph for graph in order if sizes[graph] > 0]
        self._lies = [(0, 0, 0, 0)] * len(sizes)  # of each graph, see :meth:`_of_nodes`
        self.buckets: list[Bucket] = []
        first_node = [0, *accumulate(sizes)]
        rows = start = 0
        for stop in _cuts([sizes[graph] for graph in order], PAIRS_PER_CALL if bucketed else inf):
            members = order[start:stop]
            length, first_row, number = sizes[members[0]], rows, len(self.buckets)
            for graph in members:
                self._lies[graph] = number, first_row, rows - first_row, length
                rows += length
            sizes_of_members = [sizes[graph] for graph in members]
            size = torch.tensor(sizes_of_members, device="cpu")
            mask = torch.arange(length, device="cpu") < size.unsqueeze(1)
            full = bucketed and sizes[members[-1]] == length
            first = [first_node[graph] for graph in members]
            self.buckets.append(Bucket(send(mask, device), full, first, sizes_of_members))
            start = stop
        in_order = order == sorted(order)
        self.row: Tensor | None = None
        if not in_order or not all(bucket.full for bucket in self.buckets):
            _, first_row, row, _ = self._of_nodes
            self.row = send(first_row + row + self._position, device)

    def pad(self, x: Tensor) -> list[Tensor]:
        """Ragged ``[N, ...]`` to ``[B, L, ...]`` for each bucket, zeros where there is no node."""
        shapes = [bucket.mask.shape for bucket in self.buckets]
        rows = [batch * length for batch, length in shapes]
        x = x if self.row is None else move_rows(x, None, self.row, sum(rows))
        parts = [x] if len(rows) == 1 else x.split(rows)
        return [part.unflatten(0, shape) for part, shape in zip(parts, shapes, strict=True)]

    def pad_heads(self, *tensors: Tensor) -> list[tuple[Tensor, ...]]:
        """Ragged ``[N, H, d]`` to ``[B, H, L, d]`` for each bucket: where a product wants it.

        What is not a node is filled up with a node of the same graph: the weights that multiply it
        must be 0.
        """
        heads = tensors[0].size(1)
        sources, places = self._layout_of_heads(heads)
        parts = lay_out([x.flatten(0, 1) for x in tensors], sources, places)
        return [
            tuple(x.view(len(bucket.sizes), heads, bucket.mask.size(1), -1) for x in part)
            for part, bucket in zip(parts, self.buckets, strict=True)
        ]

    def unpad_heads(self, parts: Sequence[Tensor]) -> Tensor:
        """``[B, H, L, d]`` for each bucket back to ragged ``[N, H, d]``."""
        heads = parts[0].size(1)
        flat = [part.flatten(0, 2) for part in parts]
        x, (_, places) = torch.cat(flat) if len(flat) > 1 else flat[0], self._layout_of_heads(heads)
        return move_rows(x, places, None, places.numel()).unflatten(0, (-1, heads))

    def _layout_of_heads(self, heads: int) -> tuple[list[Tensor], Tensor]:
        """The row at each place of each bucket, ``[B H L]``, and the place of each row, ``[N H]``.

        Rows are those of all nodes and heads, places those of all buckets.
        """
        if heads not in self._layouts:
            head = torch.arange(heads, device="cpu").view(-1, 1)
            sources = []
            for bucket in self.buckets:
                first, size = torch.tensor([bucket.first, bucket.sizes], device="cpu").unsqueeze(-1)
                position = torch.arange(bucket.mask.size(1), device="cpu")
                node = first + torch.minimum(position, size - 1)  # [B, L]
                sources.append((node.unsqueeze(1) * heads + head).flatten())
            places = self._of_nodes[1].unsqueeze(1) * heads + self._row_of_heads(heads)
            sent = [send(source, self._device) for source in sources]
            self._layouts[heads] = sent, send(places.flatten(), self._device)
        return self._layouts[heads]

    def pairs(self, edge_index: Tensor, heads: int) -> list[tuple[Tensor, Tensor]]:
        """For each bucket the edges in it, ``[E']``, and where they are along ``[B, H, L, L]``.

        An edge that joins two graphs is in none.

        Args:
            edge_index (Tensor): Sources and targets, ``[2, E]``.
            heads (int): Heads H.

        Returns:
            The edges in order, and a place for each of them and each head, ``[E', H]``.
        """
        source, target = edge_index
        bucket, _, _, length = send(self._of_nodes, self._device)
        position = send(self._position, self._device)
        column, row = position[source], send(self._row_of_heads(heads), self._device)[target]
        is_of_one = target - position[target] == source - column  # by the graphs' first nodes
        number = torch.where(is_of_one, bucket[target], len(self.buckets))
        edge = number.argsort(stable=True)
        place = (row * length[target].unsqueeze(1) + column.unsqueeze(1))[edge]
        counts = torch.bincount(number, minlength=len(self.buckets) + 1).tolist()
        return [*zip(edge.split(counts), place.split(counts), strict=True)][:-1]

    @cached_property
    def _of_nodes(self) -> Tensor:
        """Where the graph of each node lies, on the host, ``[4, N]``.

        Its bucket, the bucket's first row among those of all buckets, the graph's first row in the
        bucket, and rows of a graph there.
        """
        lies = torch.tensor(self._lies, dtype=torch.long, device="cpu").view(-1, 4)
        return lies.repeat_interleave(self._size, dim=0, output_size=sum(self._sizes)).t()

    @cached_property
    def _position(self) -> Tensor:
        """Position of each node in its graph, on the host, ``[N]``."""
        first = self._size.cumsum(0) - self._size
        first = first.repeat_interleave(self._size, output_size=sum(self._sizes))
        return torch.arange(sum(self._sizes), device="cpu") - first

    @cached_property
    def _size(self) -> Tensor:
        return torch.tensor(self._sizes, dtype=torch.long, device="cpu")

    def _row_of_heads(self, heads: int) -> Tensor:
        """Row of each node and head along its bucket's ``[B, H, L]``, on the host, ``[N, H]``."""
        _, _, first, length = self._of_nodes.unsqueeze(-1)
        head = torch.arange(heads, device="cpu")
        return first * heads + self._position.unsqueeze(1) + head * length

    def unpad(self, parts: Sequence[Tensor]) -> Tensor:
        """``[B, L, ...]`` for each bucket back to ragged ``[N, ...]``."""
        flat = [part.flatten(0, 1) for part in parts]
        x = flat[0] if len(flat) == 1 else torch.cat(flat)
        return x if self.row is None else move_rows(x, self.row, None, self.row.numel())


def _cuts(sizes: Sequence[int], most_wasted: float) -> list[int]:
    """Where buckets end among sizes that decrease: before padding wastes more pairs than that.

    Then the cut is made where it saves most, so that a few large graphs stay among themselves.
    """
    cuts, start, place, wasted = [], 0, 0, 0
    while place < len(sizes):
        wasted += sizes[start] ** 2 - sizes[place] ** 2
        place += 1
        if wasted > most_wasted:
            start = max(
                range(start + 1, place),
                key=lambda cut: (sizes[start] ** 2 - sizes[cut] ** 2) * (place - cut),
            )
            cuts.append(start)
            place, wasted = start, 0
    return [*cuts, len(sizes)] if sizes else []


def send(x: Tensor, device: torch.device) -> Tensor:
    """Move to the device without waiting for what it still has to do."""
    return x.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else x.to(device)
