"""The fused form of softmax attention: a graph that is never written out."""

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from gia.attention.scope import Scope
from gia.attention.scope_max import scope_argmax, scope_max
from gia.attention.score import Scores
from gia.graph.base import Adjacency
from gia.graph.edges import EdgeAdjacency
from gia.ops.varlen import attend_varlen, has_varlen_kernel


class FusedSoftmax(Adjacency):
    r""":math:`A = \mathrm{softmax}(S)` over a scope, held as queries and keys: memory linear in L.

    ``sum`` is :func:`torch.nn.functional.scaled_dot_product_attention` with the features as values.
    The support is the scope, even where a weight underflows to 0, so ``max`` needs no scores: over
    the causal scope it is a running maximum, over the full scope the maximum of the graph.

    A bias enters the kernel as its mask, a matrix for each graph and head that has a gradient.

    Args:
        scores (Scores): Dot products and what is added to them.
        scope (Scope): The pairs that may be joined: causal or full.
    """

    def __init__(self, scores: Scores, scope: Scope):
        self.scores = scores.compute()
        self.products, *self.biases = self.scores.parts
        self.scope = scope
        self._masks: list[Tensor] | None = None

    def sum(self, x: Tensor) -> Tensor:
        q, k, scope = self.products.q, self.products.k, self.scope
        if q.size(0) == 0:  # no node, but part of autograd's graph
            return x + 0 * sum(tensor.sum() for tensor in self.scores.tensors)
        scale, padding = self.products.scale, scope.padding
        if self.biases:
            padded = map(padding.pad_heads, (q, k, x.to(q.dtype)))
            parts = [
                scaled_dot_product_attention(*qkx, attn_mask=mask, scale=scale)
                for *qkx, mask in zip(*padded, self._bias_masks(), strict=True)
            ]
            return padding.unpad_heads(parts).to(x.dtype)
        if padding.row is not None and x.shape == q.shape and has_varlen_kernel(q):
            return attend_varlen(
                q, k, x, scope.ptr, scope.max_length, causal=scope.causal, scale=scale
            )
        parts = [
            scaled_dot_product_attention(
                *(t.transpose(1, 2) for t in qkx),  # [B, H, L, d]
                # Right padding is never seen through a causal scope.
                attn_mask=None if scope.causal or b.full else b.mask[:, None, None, :],
                is_causal=scope.causal,
                scale=scale,
            ).transpose(1, 2)
            for *qkx, b in zip(*map(padding.pad, (q, k, x)), padding.buckets, strict=True)
        ]
        return padding.unpad(parts)

    @torch.compiler.disable  # which edges there are depends on the data
    def _bias_masks(self) -> list[Tensor]:
        """The biases of all pairs, minus infinity where a node must not look, ``[B, H, L, L]``."""
        if self._masks is None:
            blocks = self.scope.whole_blocks(self.products.heads)
            first, *others = self.biases
            self._masks = []
            for block in blocks:
                total = first.on(block).expand(block.shape)
                for bias in others:
                    total = bias.added_to(total, block)
                self._masks.append(block.hide(total.to(self.products.q.dtype)).contiguous())
        return self._masks

    def max(self, x: Tensor) -> Tensor:
        return scope_max(x, self.scope)

    @property
    def num_nodes(self) -> int:
        return self.scope.num_nodes

    def argmax(self, x: Tensor) -> Tensor:
        return scope_argmax(x, self.scope)

    def degree(self) -> Tensor:
        return self.products.q.new_ones(self.scope.num_nodes, 1)

    def per_degree(self, total: Tensor) -> Tensor:
        return total

    def count(self) -> Tensor:
        return self.scope.count().unsqueeze(1).to(self.products.q.dtype)

    def to_edges(self) -> EdgeAdjacency:
        pairs = self.scope.pairs(self.scores.heads)
        return pairs.graph(pairs.softmax(self.scores.on(pairs)))

    def in_precision(self, dtype: torch.dtype) -> "FusedSoftmax":
        if self.products.q.dtype == dtype:
            return self
        tensors = [tensor.to(dtype) for tensor in self.scores.tensors]
        return FusedSoftmax(self.scores.with_tensors(tensors), self.scope)
