"""The fused form of softmax attention: a graph that is never written out."""

from inspect import signature

import torch
from torch import Tensor
from torch.nn.functional import pad, scaled_dot_product_attention

from gia.adjacency.base import Adjacency
from gia.adjacency.edges import EdgeAdjacency
from gia.adjacency.scope import Scope
from gia.adjacency.scope_max import scope_argmax, scope_max
from gia.adjacency.score import DotProduct, LazyDotProduct

try:
    from torch.nn.attention.varlen import varlen_attn
except ImportError:  # torch before 2.10
    varlen_attn = None
# The one of torch 2.10 takes no scale.
HAS_RAGGED_KERNEL = varlen_attn is not None and "scale" in signature(varlen_attn).parameters


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
        if scope.padding.row is not None and x.shape == q.shape and _has_ragged_kernel(q):
            return _attend_ragged(q, k, x, scope, self.scores.scale)
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


def _has_ragged_kernel(q: Tensor) -> bool:
    """Whether torch has a kernel for ragged batches here: in half precision on an Ampere GPU."""
    if not HAS_RAGGED_KERNEL or not q.is_cuda or q.size(-1) > 256:
        return False
    half = q.dtype in (torch.float16, torch.bfloat16)
    return half and torch.cuda.get_device_capability(q.device) >= (8, 0)


def _attend_ragged(q: Tensor, k: Tensor, x: Tensor, scope: Scope, scale: float) -> Tensor:
    """A x without padding, by torch's kernel for ragged batches: ``[N, H, d]``."""
    channels, dtype = x.size(-1), x.dtype
    x = x.to(q.dtype)
    if channels % 8:  # it wants multiples
        q, k, x = (pad(t, (0, -channels % 8)) for t in (q, k, x))
    ptr = scope.ptr.to(torch.int32)
    window = (-1, 0) if scope.causal else (-1, -1)
    length = scope.max_length
    out = varlen_attn(q, k, x, ptr, ptr, length, length, scale=scale, window_size=window)
    return out[..., :channels].to(dtype)
