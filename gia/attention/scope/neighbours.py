"""The scope that the data's own edges are."""

from functools import cached_property

import torch
from torch import Tensor
from torch_geometric.utils import coalesce

from gia.attention.scope.compose import Scope
from gia.attention.scope.given import InputGraph
from gia.graph.pair_block import PairBlock
from gia.ops.csr import follow


class NeighborScope(Scope):
    """Each node sees the nodes that the data joins it to: bonds, contacts, neighbours.

    Args:
        given (InputGraph): The data's edges; edges that occur several times count once.
        self_loops (bool): Whether each node sees itself; otherwise as the data has it.
        hops (int): Along how many edges it sees, at least 1.
        *args, **kwargs: Of :class:`Scope`.
    """

    causal = False
    fusable = False

    def __init__(
        self, *args, given: InputGraph | None, self_loops: bool = True, hops: int = 1, **kwargs
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
            first, then = follow(edge_index[1], step[0], self.num_nodes)
            further = torch.stack([edge_index[0][first], step[1][then]])
            further = further[:, further[0] != further[1]]  # a way there and back
            edge_index = torch.cat([edge_index, further], dim=1)
            edge_index = coalesce(edge_index, num_nodes=self.num_nodes, sort_by_row=False)
        return edge_index

    def count(self) -> Tensor:
        return self._reached[1].bincount(minlength=self.num_nodes)

    def allows(self, source: Tensor, target: Tensor) -> Tensor:
        known, wanted = (
            target * self.num_nodes + source for source, target in (self._reached, (source, target))
        )
        if known.numel() == 0:
            return torch.zeros_like(wanted, dtype=torch.bool)
        return known[torch.searchsorted(known, wanted).clamp(max=known.numel() - 1)] == wanted

    def _in_reach(self, block: PairBlock) -> Tensor:
        graphs, _, rows, columns = block.shape
        graph, source, target = block.find(self._reached)
        mine = graph >= 0
        allowed = torch.zeros(graphs, rows, columns, dtype=torch.bool, device=block.device)
        allowed[graph[mine], target[mine], source[mine]] = True
        return allowed.unsqueeze(1)
