"""From a ragged batch to padded tensors and back, with little padding."""

from collections.abc import Sequence
from dataclasses import dataclass
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
        first_row = [0] * len(sizes)
        self.buckets: list[Bucket] = []
        first_node = [0, *accumulate(sizes)]
        rows = start = 0
        for stop in _cuts([sizes[graph] for graph in order], PAIRS_PER_CALL if bucketed else inf):
            members = order[start:stop]
            length = sizes[members[0]]
            for graph in members:
                first_row[graph] = rows
                rows += length
            sizes_of_members = [sizes[graph] for graph in members]
            size = torch.tensor(sizes_of_members, device="cpu")
            mask = torch.arange(length, device="cpu") < size.unsqueeze(1)
            full = bucketed and sizes[members[-1]] == length
            first = [first_node[graph] for graph in members]
            self.buckets.append(Bucket(send(mask, device), full, first, sizes_of_members))
            start = stop
        size = torch.tensor(sizes, dtype=torch.long, device="cpu")
        in_order = order == sorted(order)
        self.row: Tensor | None = None
        if not in_order or not all(bucket.full for bucket in self.buckets):
            shift = torch.tensor(first_row, device="cpu") - (size.cumsum(0) - size)
            shift = shift.repeat_interleave(size, output_size=sum(sizes))
            self.row = send(torch.arange(sum(sizes), device="cpu") + shift, device)

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

    def pad_heads_again(self, x: Tensor, number: int) -> Tensor:
        """One bucket's part of :meth:`pad_heads`, without a gradient."""
        sources, _ = self._layout_of_heads(x.size(1))
        return x.detach().flatten(0, 1).index_select(0, sources[number])

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
            places = torch.empty(sum(self._sizes), heads, dtype=torch.long, device="cpu")
            head = torch.arange(heads, device="cpu").view(-1, 1)
            sources, start = [], 0
            for bucket in self.buckets:
                length = bucket.mask.size(1)
                first, size = torch.tensor([bucket.first, bucket.sizes], device="cpu").unsqueeze(-1)
                position = torch.arange(length, device="cpu")
                node = first + torch.minimum(position, size - 1)  # [B, L]
                sources.append((node.unsqueeze(1) * heads + head).flatten())
                graph = torch.arange(len(bucket.sizes), device="cpu").view(-1, 1, 1)
                place = start + (graph * heads + head) * length + position  # [B, H, L]
                real = position < size
                places[node[real]] = place.transpose(1, 2)[real]
                start += place.numel()
            sent = [send(source, self._device) for source in sources]
            self._layouts[heads] = sent, send(places.flatten(), self._device)
        return self._layouts[heads]

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
