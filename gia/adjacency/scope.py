"""Which pairs of nodes may be joined at all, in a ragged batch of graphs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import torch
from torch import Tensor
from torch_geometric.utils import coalesce

from gia.adjacency.padding import Padding
from gia.adjacency.pairs import Block, EdgePairs
from gia.typing import OptTensor

# Numbers in a block of pairs: 8 MB of them in float32.
BLOCK = 2**21


@dataclass(frozen=True)
class Given:
    """The edges that the data comes with: bonds, contacts, neighbours.

    Attributes:
        edge_index (Tensor): Sources and targets, ``[2, E]``.
        edge_attr (Tensor, optional): What is known of each edge, ``[E, F]``.
    """

    edge_index: Tensor
    edge_attr: OptTensor = None

    def find(self, values: Tensor, edge_index: Tensor, num_nodes: int) -> Tensor:
        """What is known of given edges, ``[E, F]``, where other edges join the same nodes.

        Args:
            values (Tensor): Numbers of the given edges, ``[E, F]``; several between the same nodes
                add up.
            edge_index (Tensor): The other edges, ``[2, E']``, in any order.
            num_nodes (int): Nodes N.

        Returns:
            ``[E', F]``, 0 where no given edge joins the two.
        """
        known, values = coalesce(
            self.edge_index, values, num_nodes=num_nodes, reduce="sum", sort_by_row=False
        )
        found = values.new_zeros(edge_index.size(1), values.size(1))
        if known.size(1) == 0:
            return found + values.sum()  # part of autograd's graph
        key, wanted = (ends[1] * num_nodes + ends[0] for ends in (known, edge_index))
        place = torch.searchsorted(key, wanted).clamp(max=key.numel() - 1)
        return torch.where((key[place] == wanted).unsqueeze(1), values[place], found)


class Scope:
    """The pairs of nodes that attention may join, and the padded layout that fused kernels need.

    One scope is made for a batch and serves all its layers, so that what it derives from the sizes
    of the graphs is derived once.

    Args:
        ptr (Tensor): Where each graph starts in the ragged batch, ``[B + 1]``, as in PyG's
            :class:`~torch_geometric.data.Batch`.
        sizes (list of int, optional): Nodes of each graph, where the host knows them; left out,
            they are read from ``ptr``, which waits for a GPU.
        bucketed (bool): As in :class:`~gia.adjacency.padding.Padding`.
        given (Given, optional): The data's own edges, for whatever reads them.

    Raises:
        ValueError: If ``ptr`` does not start at 0 or decreases, ``sizes`` has another length, or a
            given edge leaves its graph.
    """

    causal: bool
    # Whether the pairs are all of a graph, or all up to the target: what fused kernels can do.
    fusable = True

    def __init__(
        self,
        ptr: Tensor,
        sizes: Sequence[int] | None = None,
        *,
        bucketed: bool = True,
        given: Given | None = None,
    ):
        self.ptr = ptr
        if sizes is None:
            bounds = ptr.tolist()
            sizes = [stop - start for start, stop in pairwise(bounds)]
            if not bounds or bounds[0] != 0 or min(sizes, default=0) < 0:
                raise ValueError(f"ptr must start at 0 and never decrease, got {bounds}")
        elif len(sizes) != ptr.numel() - 1:
            raise ValueError(f"{len(sizes)} sizes do not fit the {ptr.numel() - 1} graphs of ptr")
        self.sizes = list(sizes)
        self.num_nodes = sum(self.sizes)
        self.max_length = max(self.sizes, default=0)
        self.padding = Padding(self.sizes, ptr.device, bucketed=bucketed)
        self.given = given
        self._edge_pairs: dict[int, EdgePairs] = {}
        if given is not None and given.edge_index.is_cpu:  # a GPU would have to be waited for
            self._check(given)

    @property
    def node_position(self) -> Tensor:
        """Position of each node in its own graph, ``[N]``."""
        return torch.arange(self.num_nodes, device=self.ptr.device) - self.first_node

    @property
    def first_node(self) -> Tensor:
        """First node of each node's graph, ``[N]``."""
        return self.ptr[:-1].repeat_interleave(self.ptr.diff(), output_size=self.num_nodes)

    def edge_index(self) -> Tensor:
        """Every allowed pair as source and target, ``[2, E]``, ordered by target, then source."""
        raise NotImplementedError

    def count(self) -> Tensor:
        """Number of allowed sources of each node, ``[N]``."""
        raise NotImplementedError

    def pairs(self, heads: int) -> EdgePairs:
        """Every allowed pair and head as entries of a sparse matrix: made once for all layers."""
        if heads not in self._edge_pairs:
            self._edge_pairs[heads] = EdgePairs(self.edge_index(), self.first_node, heads)
        return self._edge_pairs[heads]

    def blocks(self, heads: int, *, whole: bool = False) -> Iterator[Block]:
        """All pairs in blocks of rows, so many at a time that memory stays bounded.

        Args:
            heads (int): Heads H.
            whole (bool): One block for each bucket of the padding.
        """
        for bucket in self.padding.buckets:
            graphs, length = bucket.mask.shape
            side_by_side = graphs if whole else max(BLOCK // (heads * length**2), 1)
            tall = heads * length**2 > BLOCK and not whole
            rows = max(BLOCK // (heads * length), 1) if tall else length
            for first in range(0, graphs, side_by_side):
                chosen = slice(first, min(first + side_by_side, graphs))
                for start in range(0, length, rows):
                    stop = min(start + rows, length)
                    columns = stop if self.causal else length
                    block = Block(bucket, chosen, slice(start, stop), columns, heads)
                    block.allowed = self._allowed(block)
                    yield block

    def _allowed(self, block: Block) -> OptTensor:
        """Which pairs of a block are in the scope, ``[B or 1, 1, R, C]``; None if all are."""
        allowed = self._in_reach(block)
        if block.is_padded:
            real = block.mask[:, block.rows].unsqueeze(2) & block.mask[:, None, : block.columns]
            allowed = real.unsqueeze(1) if allowed is None else real.unsqueeze(1) & allowed
        return allowed

    def _in_reach(self, block: Block) -> OptTensor:
        """Which positions may be joined, ``[1, 1, R, C]`` or ``[B, 1, R, C]``; None: all."""
        if not self.causal:
            return None
        return (block.source_position <= block.target_position)[None, None]

    def _check(self, given: Given) -> None:
        edge_index = given.edge_index
        if edge_index.dim() != 2 or edge_index.size(0) != 2:
            raise ValueError(f"edge_index must have shape [2, E], got {list(edge_index.shape)}")
        if edge_index.dtype != torch.int64:
            raise ValueError(f"edge_index must be of type torch.int64, got {edge_index.dtype}")
        if given.edge_attr is not None and given.edge_attr.size(0) != edge_index.size(1):
            raise ValueError(
                f"edge_attr has {given.edge_attr.size(0)} rows for {edge_index.size(1)} edges"
            )
        if edge_index.numel() == 0:
            return
        low, high = int(edge_index.min()), int(edge_index.max())
        if low < 0 or high >= self.num_nodes:
            raise ValueError(
                f"edge_index names node {low if low < 0 else high}, but there are "
                f"{self.num_nodes} nodes"
            )
        first = self.first_node[edge_index]
        crossing = (first[0] != first[1]).nonzero()
        if crossing.numel():
            source, target = edge_index[:, int(crossing[0])].tolist()
            raise ValueError(
                f"the edge from node {source} to node {target} joins two graphs of the batch"
            )

    def _pairs_from(self, start: Tensor, width: Tensor) -> Tensor:
        """Join each node i to ``width[i]`` nodes of its graph, from position ``start[i]`` on."""
        target = torch.arange(self.num_nodes, device=self.ptr.device).repeat_interleave(width)
        first_edge = (width.cumsum(0) - width).repeat_interleave(width)
        first_node = (self.first_node + start).repeat_interleave(width)
        offset = torch.arange(target.numel(), device=self.ptr.device) - first_edge
        return torch.stack([first_node + offset, target])


class CausalScope(Scope):
    """Each node sees itself and the nodes before it in its own graph: ``j <= i``."""

    causal = True

    def edge_index(self) -> Tensor:
        width = self.count()
        return self._pairs_from(torch.zeros_like(width), width)

    def count(self) -> Tensor:
        return self.node_position + 1


class FullScope(Scope):
    """Each node sees every node of its own graph, itself included."""

    causal = False

    def edge_index(self) -> Tensor:
        width = self.count()
        return self._pairs_from(torch.zeros_like(width), width)

    def count(self) -> Tensor:
        sizes = self.ptr.diff()
        return sizes.repeat_interleave(sizes, output_size=self.num_nodes)


class WindowScope(Scope):
    """Each node sees itself and its neighbours in the sequence: ``|i - j| <= window``.

    Args:
        window (int): How far it sees, at least 0.
        causal (bool): Whether it sees nodes before it only.
        *args, **kwargs: Of :class:`Scope`.
    """

    fusable = False

    def __init__(self, *args, window: int, causal: bool = True, **kwargs):
        if window < 0:
            raise ValueError(f"window must not be negative, got {window}")
        super().__init__(*args, **kwargs)
        self.window, self.causal = window, causal

    @property
    def _bounds(self) -> tuple[Tensor, Tensor]:
        """First and last position that each node sees, ``[N]`` each."""
        position = self.node_position
        last = self.ptr.diff().repeat_interleave(self.ptr.diff(), output_size=self.num_nodes) - 1
        ahead = 0 if self.causal else self.window
        return (position - self.window).clamp(min=0), torch.minimum(position + ahead, last)

    def edge_index(self) -> Tensor:
        first, last = self._bounds
        return self._pairs_from(first, last - first + 1)

    def count(self) -> Tensor:
        first, last = self._bounds
        return last - first + 1

    def _in_reach(self, block: Block) -> Tensor:
        behind = block.target_position - block.source_position
        near = (behind <= self.window) & (behind >= (0 if self.causal else -self.window))
        return near[None, None]


class GivenScope(Scope):
    """Each node sees the nodes that the data joins it to: bonds, contacts, neighbours.

    Args:
        given (Given): The data's edges; edges that occur several times count once.
        self_loops (bool): Whether each node sees itself; otherwise as the data has it.
        hops (int): Along how many edges it sees, at least 1.
        *args, **kwargs: Of :class:`Scope`.
    """

    causal = False
    fusable = False

    def __init__(
        self, *args, given: Given | None, self_loops: bool = True, hops: int = 1, **kwargs
    ):
        if given is None:
            raise ValueError("the scope is the data's own edges, but the data has no edge_index")
        if hops < 1:
            raise ValueError(f"hops must be at least 1, got {hops}")
        super().__init__(*args, given=given, **kwargs)
        self.self_loops, self.hops = self_loops, hops

    def edge_index(self) -> Tensor:
        return self._reached

    @cached_property
    def _reached(self) -> Tensor:
        edge_index = self.given.edge_index
        if self.self_loops:
            node = torch.arange(self.num_nodes, device=edge_index.device)
            edge_index = torch.cat([edge_index, node.expand(2, -1)], dim=1)
        edge_index = step = coalesce(edge_index, num_nodes=self.num_nodes, sort_by_row=False)
        for _ in range(self.hops - 1):
            further = _join(edge_index, step, self.num_nodes)
            further = further[:, further[0] != further[1]]  # a way there and back
            edge_index = torch.cat([edge_index, further], dim=1)
            edge_index = coalesce(edge_index, num_nodes=self.num_nodes, sort_by_row=False)
        return edge_index

    def count(self) -> Tensor:
        return self._reached[1].bincount(minlength=self.num_nodes)

    def _in_reach(self, block: Block) -> Tensor:
        graphs, _, rows, columns = block.shape
        graph, source, target = block.find(self._reached, self.first_node)
        mine = graph >= 0
        allowed = torch.zeros(graphs, rows, columns, dtype=torch.bool, device=block.device)
        allowed[graph[mine], target[mine], source[mine]] = True
        return allowed.unsqueeze(1)


def _join(first: Tensor, second: Tensor, num_nodes: int) -> Tensor:
    """Where one edge of a first list and then one of a second lead, ``[2, E]``."""
    second = second[:, second[0].argsort()]
    bounds = torch.arange(num_nodes + 1, device=second.device)
    start = torch.searchsorted(second[0].contiguous(), bounds)
    number = start.diff()[first[1]]  # of edges that go on where each one ends
    edge = torch.arange(number.numel(), device=number.device).repeat_interleave(number)
    place = torch.arange(edge.numel(), device=number.device)
    place = place - (number.cumsum(0) - number)[edge] + start[first[1][edge]]
    return torch.stack([first[0][edge], second[1][place]])
