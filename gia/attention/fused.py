"""The fused form of softmax attention: a graph that is never written out."""

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from gia.attention.scope import Scope
from gia.attention.scope_max import scope_argmax, scope_max
from gia.attention.score import DotProduct, LazyDotProduct
from gia.graph.base import Adjacency
from gia.graph.edges import EdgeAdjacency
from gia.ops.varlen import attend_varlen, has_varlen_kernel


class FusedSoftmax(Adjacency):
    r""":math:`A = \mathrm{softmax}(S)` over a scope, held as queries and keys: memory linear in L.

    ``sum`` is :func:`torch.nn.functional.scaled_dot_product_attention` with the features as values.
    The support is the scope, even where a weight underflows to 0, so ``max`` needs no scores: over
    the causal scope it is a running maximum, over the full scope the maximum of the graph.

    Args:
        scores (DotProduct): Scaled queries and keys, ``[N, H, d]`` each.
        scope (Scope): The pairs that may be joined.
    """

    def __init__(self, scores: DotProduct | LazyDotProduct, scope: Scope):
        self.scores = scores.compute()
        self.scope = scope

    def sum(self, x: Tensor) -> Tensor:
        q, k, scope = self.scores.q, self.scores.k, self.scope
        if q.size(0) == 0:
            return x + 0 * (q.sum() + k.sum())  # no node, but part of autograd's graph
        if scope.padding.row is not None and x.shape == q.shape and has_varlen_kernel(q):
            return attend_varlen(
                q, k, x, scope.ptr, scope.max_length, causal=scope.causal, scale=self.scores.scale
            )
        padding = scope.padding
        parts = [
            scaled_dot_product_attention(
                *(t.transpose(1, 2) for t in qkx),  # [B, H, L, d]
                # Right padding is never seen through a causal scope.
                attn_mask=None if scope.causal or b.full else b.mask[:, None, None, :],
                is_causal=scope.causal,
                scale=self.scores.scale,
            ).transpose(1, 2)
            for *qkx, b in zip(*map(padding.pad, (q, k, x)), padding.buckets, strict=True)
        ]
        return padding.unpad(parts)

    def max(self, x: Tensor) -> Tensor:
        return scope_max(x, self.scope)

    @property
    def num_nodes(self) -> int:
        return self.scope.num_nodes

    def argmax(self, x: Tensor) -> Tensor:
        return scope_argmax(x, self.scope)

    def degree(self) -> Tensor:
        return self.scores.q.new_ones(self.scope.num_nodes, 1)

    def per_degree(self, total: Tensor) -> Tensor:
        return total

    def count(self) -> Tensor:
        return self.scope.count().unsqueeze(1).to(self.scores.q.dtype)

    def to_edges(self) -> EdgeAdjacency:
        pairs = self.scope.pairs(self.scores.heads)
        return pairs.graph(pairs.softmax(self.scores.on(pairs)))

    def in_precision(self, dtype: torch.dtype) -> "FusedSoftmax":
        if self.scores.q.dtype == dtype:
            return self
        return FusedSoftmax(
            DotProduct(self.scores.q.to(dtype), self.scores.k.to(dtype)), self.scope
        )
