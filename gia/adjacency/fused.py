"""The fused form of softmax attention: a graph that is never written out."""

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from torch_geometric.utils import softmax

from gia.adjacency.base import Adjacency
from gia.adjacency.edges import EdgeAdjacency
from gia.adjacency.scope import Scope
from gia.adjacency.score import DotProduct


class FusedSoftmax(Adjacency):
    r""":math:`A = \mathrm{softmax}(S)` over a scope, held as queries and keys: memory linear in L.

    ``sum`` is :func:`torch.nn.functional.scaled_dot_product_attention` with the features as values.
    The support is the scope, even where a weight underflows to 0, so ``max`` needs no scores: over
    the causal scope it is a running maximum, over the full scope the maximum of the graph.

    Args:
        scores (DotProduct): Scaled queries and keys, ``[N, H, d]`` each.
        scope (Scope): The pairs that may be joined.
    """

    def __init__(self, scores: DotProduct, scope: Scope):
        self.scores = scores
        self.scope = scope

    def sum(self, x: Tensor) -> Tensor:
        pad = self.scope.pad
        # Right padding is never seen through a causal scope; only the full scope needs a mask.
        mask = None
        if not self.scope.causal and self.scope.ragged:
            mask = self.scope.mask[:, None, None, :]
        out = scaled_dot_product_attention(
            pad(self.scores.q).transpose(1, 2),  # [B, H, L, d]
            pad(self.scores.k).transpose(1, 2),
            pad(x).transpose(1, 2),
            attn_mask=mask,
            is_causal=self.scope.causal,
            scale=self.scores.scale,
        )
        return self.scope.unpad(out.transpose(1, 2))

    def max(self, x: Tensor) -> Tensor:
        if x.size(0) == 0:
            return x
        padded = self.scope.pad(x)  # [B, L, H, d]
        with torch.no_grad():
            if self.scope.causal:
                last = padded.cummax(dim=1).indices  # of ties the last
            else:
                # NaN counts as the largest, as in the edge form and in cummax.
                padded = padded.nan_to_num(nan=torch.inf, posinf=torch.inf, neginf=-torch.inf)
                padded = padded.masked_fill(~self.scope.mask[..., None, None], -torch.inf)
                peak = padded.amax(dim=1, keepdim=True)
                position = torch.arange(padded.size(1), device=x.device).view(1, -1, 1, 1)
                last = torch.where(padded == peak, position, -1).amax(dim=1, keepdim=True)
                last = last.expand_as(padded)
            first_node = (self.scope.ptr[:-1]).view(-1, 1, 1, 1)
            winner = self.scope.unpad(last + first_node)  # [N, H, d]
        return x.gather(0, winner)

    def degree(self) -> Tensor:
        return self.scores.q.new_ones(self.scope.num_nodes, 1)

    def count(self) -> Tensor:
        return self.scope.count().unsqueeze(1).to(self.scores.q.dtype)

    def to_edges(self) -> EdgeAdjacency:
        edge_index = self.scope.edge_index()
        scores = self.scores.on(edge_index)  # [E, H]
        weight = softmax(scores, edge_index[1], num_nodes=self.scope.num_nodes)
        return EdgeAdjacency(edge_index, weight, num_nodes=self.scope.num_nodes)
