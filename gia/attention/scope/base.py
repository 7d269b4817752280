"""What all scopes share, but for how they compose: what follows from the sizes of the graphs."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from gia.attention.scope.given import InputEdges, InputGraph
from gia.graph.csr_pairs import CSRPairs
from gia.graph.hop_counts import HopCounts
from gia.graph.padding import Padding
from gia.graph.pair_block import PairBlock, WholeBlocks
from gia.ops.recompute import in_blocks
from gia.typing import OptTensor

# Numbers in a block of pairs: 8 MB of them in float32.
BLOCK = 2**21


class BaseScope:
    """The pairs of nodes that attention may join, and the padded layout that fused kernels need.

    One scope is made for a batch and serves all its layers, so that what it derives from the sizes
    of the graphs is derived once.

    Args:
        ptr (Tensor): Where each graph starts in the ragged batch, ``[B + 1]``, as in PyG's
            :class:`~torch_geometric.data.Batch`.
        sizes (list of int, optional): Nodes of each graph, where the host knows them; left out,
            they are read from ``ptr``, which waits for a GPU.
        bucketed (bool): As in :class:`~gia.graph.padding.Padding`.
        given (InputGraph, optional): The data's own edges, for whatever reads them.

    Raises:
        ValueError: If ``ptr`` does not start at 0 or decreases, ``sizes`` has another length, or a
            given edge leaves its graph.
    """

    # Whether each node sees none after it.
    causal: bool
    # Whether the pairs are all of a graph, or all up to the target: what fused kernels can do.
    fusable = True
    # Whether every node sees itself.
    self_loops = True

    def __init__(
        self,
        ptr: Tensor,
        sizes: Sequence[int] | None = None,
        *,
        bucketed: bool = True,
        given: InputGraph | None = None,
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
        self._edge_pairs: dict[int, CSRPairs] = {}
        self._whole_blocks: dict[int, list[PairBlock]] = {}
        self._given_edges: InputEdges | None = None
        self._hop_counts: dict[int, HopCounts] = {}
        if given is not None and given.edge_index.is_cpu:  # a GPU would have to be waited for
            given.check(self.first_node)

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

    def allows(self, source: Tensor, target: Tensor) -> Tensor:
        """Which pairs of nodes of one graph are allowed, ``[E]``."""
        allowed = self.sees(self.node_position[target], self.node_position[source])
        return torch.ones_like(target, dtype=torch.bool) if allowed is None else allowed

    def sees(self, target: Tensor, source: Tensor) -> OptTensor:
        """Which positions may be joined, broadcast; None: all.

        Scopes that do not go by positions have :meth:`allows` and :meth:`_in_reach` of their own.
        """
        return source <= target if self.causal else None

    def pairs(self, heads: int) -> CSRPairs:
        """Every allowed pair and head as entries of a sparse matrix: made once for all layers."""
        if heads not in self._edge_pairs:
            self._edge_pairs[heads] = CSRPairs(self.edge_index(), self.first_node, heads)
        return self._edge_pairs[heads]

    @torch.compiler.disable  # how many there are depends on the data
    def given_edges(self) -> InputEdges | None:
        """The data's own edges that the scope lets through: made once for all layers."""
        if self._given_edges is None and self.given is not None:
            self._given_edges = InputEdges(self.given, self.num_nodes, causal=self.causal)
        return self._given_edges

    def given_attr(self, edge_dim: int, dtype: torch.dtype) -> OptTensor:
        """What is known of each kind of these edges (or of each edge), ``[U, edge_dim]``.

        None if nothing is.

        Raises:
            ValueError: If there are other than ``edge_dim`` numbers for each edge.
        """
        edges = self.given_edges()
        attr = None if edges is None else edges.attr_of_kinds(dtype)
        if attr is not None and attr.size(1) != edge_dim:
            raise ValueError(
                f"edge_attr has {attr.size(1)} numbers for each edge, edge_dim is {edge_dim}"
            )
        return attr

    @torch.compiler.disable
    def hop_counts(self, max_hops: int) -> HopCounts:
        """How many of these edges all pairs of nodes are apart: made once for all layers.

        Raises:
            ValueError: If the data has no edges, or there are too many pairs.
        """
        edges = self.given_edges()
        if edges is None:
            raise ValueError("hops are counted along edges, but the data has no edge_index")
        if max_hops not in self._hop_counts:
            self._hop_counts[max_hops] = HopCounts(edges.edge_index, self.padding, max_hops)
        return self._hop_counts[max_hops]

    def whole_blocks(self, heads: int) -> list[PairBlock]:
        """All pairs, one block for each bucket of the padding: made once for all layers."""
        if heads not in self._whole_blocks:
            self._whole_blocks[heads] = list(self.blocks(heads, whole=True))
        return self._whole_blocks[heads]

    def blocks(self, heads: int, *, whole: bool = False) -> Iterator[PairBlock]:
        """All pairs in blocks of rows, so many at a time that memory stays bounded.

        Args:
            heads (int): Heads H.
            whole (bool): One block for each bucket of the padding.
        """
        shared = WholeBlocks(self.padding) if whole else None
        for number, bucket in enumerate(self.padding.buckets):
            graphs, length = bucket.mask.shape
            most = heads * bucket.mask.numel() * length if whole else BLOCK
            for chosen in in_blocks(graphs, heads * length**2, most):
                for rows in in_blocks(length, heads * length, most):
                    columns = rows.stop if self.causal else length
                    block = PairBlock(bucket, chosen, rows, columns, heads, shared, number)
                    block.allowed = self._allowed(block)
                    block.only_padded = self.fusable and not self.causal
                    block.occupied = self.self_loops and not block.is_padded
                    # What is before all targets of a block, all of them see.
                    before = self.causal and self.fusable and not block.is_padded
                    block.free = rows.start if before else 0
                    yield block

    def _allowed(self, block: PairBlock) -> OptTensor:
        """Which pairs of a block are in the scope, ``[B or 1, 1, R, C]``; None if all are."""
        allowed = self._in_reach(block)
        if block.is_padded:
            real = block.mask[:, block.rows].unsqueeze(2) & block.mask[:, None, : block.columns]
            allowed = real.unsqueeze(1) if allowed is None else real.unsqueeze(1) & allowed
        return allowed

    def _in_reach(self, block: PairBlock) -> OptTensor:
        """Which positions may be joined, ``[1, 1, R, C]`` or ``[B, 1, R, C]``; None: all."""
        seen = self.sees(block.target_position, block.source_position)
        return None if seen is None else seen[None, None]

    def _pairs_from(self, start: Tensor, width: Tensor) -> Tensor:
        """Join each node i to ``width[i]`` nodes of its graph, from position ``start[i]`` on."""
        target = torch.arange(self.num_nodes, device=self.ptr.device).repeat_interleave(width)
        first_edge = (width.cumsum(0) - width).repeat_interleave(width)
        first_node = (self.first_node + start).repeat_interleave(width)
        offset = torch.arange(target.numel(), device=self.ptr.device) - first_edge
        return torch.stack([first_node + offset, target])
