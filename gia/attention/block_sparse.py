"""Sparse attention graphs of long sequences: weights block by block, and only edges are kept.

Weights of all candidates are needed to choose the edges, and each edge's weight depends on all
candidates of its target. They are computed for some targets at a time, and once more for the
gradient, so that memory is that of one block and of the edges, never of all pairs.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.func import functional_call

from gia.attention.dense import edges_of_heads
from gia.attention.normalize import Normalizer
from gia.attention.scope import Scope
from gia.attention.score import Scores
from gia.graph.edges import EdgeAdjacency
from gia.graph.pair_block import PairBlock
from gia.graph.pair_layout import PairLayout
from gia.ops.recompute import recomputed
from gia.typing import OptTensor

Keep = Callable[[Tensor, PairLayout], OptTensor]


def select_edges(
    scores: Sequence[Scores], normalize: Normalizer, keep: Keep, scope: Scope, heads: int
) -> EdgeAdjacency:
    """The chosen edges with the weights that the normaliser gives them.

    Args:
        scores (list of Scores): As many maps as the normaliser takes.
        normalize (Normalizer): From scores to weights.
        keep (callable): ``keep(weight, pairs)``, which candidates become edges.
        scope (Scope): The candidates.
        heads (int): Heads H.
    """
    job = _Job(scores, normalize, scope, heads)
    rows, columns, weights = [], [], []
    with torch.no_grad(), torch.autocast(scope.ptr.device.type, enabled=False):
        for block in job.blocks():
            weight = job.weights(block)
            edges = block.edges(keep(weight, block))
            row, column = block.places(edges)
            rows.append(row)
            columns.append(column)
            weights.append(weight.flatten()[edges])
            job.kept.append(edges)
    if torch.is_grad_enabled() and weights:
        weights = [recomputed(torch.cat(weights), job.tensors, job.pull_back)]
    return edges_of_heads(rows, columns, weights, scope, heads)


class _Job:
    """What is computed twice: the weights of a block."""

    def __init__(self, scores: Sequence[Scores], normalize: Normalizer, scope: Scope, heads: int):
        self.scores, self.normalize, self.scope, self.heads = scores, normalize, scope, heads
        self.parameters = dict(normalize.named_parameters())
        self.tensors = [tensor for part in scores for tensor in part.tensors]
        self.tensors += self.parameters.values()
        self.kept: list[Tensor] = []

    def blocks(self):
        return self.scope.blocks(self.heads)

    def weights(self, block: PairBlock, tensors: Sequence[Tensor] | None = None) -> Tensor:
        """The weights of a block, as a function of other tensors if these are given."""
        if tensors is None:
            values = [wide(part.on(block)).expand(block.shape) for part in self.scores]
            return self.normalize(*values, pairs=block)
        left, values = list(tensors), []
        for part in self.scores:
            number = len(part.tensors)
            values.append(wide(part.with_tensors(left[:number]).on(block)).expand(block.shape))
            left = left[number:]
        parameters = dict(zip(self.parameters, left, strict=True))
        return functional_call(self.normalize, parameters, tuple(values), {"pairs": block})

    def pull_back(self, grad: Tensor, tensors: Sequence[Tensor]) -> list[Tensor]:
        """The gradients of the tensors, given that of the edges' weights."""
        grads = [torch.zeros_like(tensor, dtype=_wide_type(tensor)) for tensor in tensors]
        parts = grad.split([edges.numel() for edges in self.kept])
        by_hand = (
            len(self.scores) == 1
            and hasattr(self.scores[0], "pull_back")
            and hasattr(self.normalize, "pull_back")
        )
        with torch.autocast(grad.device.type, enabled=False):
            for block, edges, part in zip(self.blocks(), self.kept, parts, strict=True):
                if by_hand:  # without a matrix for the gradient of the weights
                    of_scores = self.normalize.pull_back(self.weights(block), edges, part)
                    self.scores[0].pull_back(block, of_scores, grads)
                    continue
                leaves = [tensor.detach().requires_grad_() for tensor in tensors]
                with torch.enable_grad():
                    weight = self.weights(block, leaves).flatten()[edges]
                if weight.requires_grad:
                    found = torch.autograd.grad(weight, leaves, part, allow_unused=True)
                    for total, one in zip(grads, found, strict=True):
                        if one is not None:
                            total.add_(one)
        return grads


def wide(values: Tensor) -> Tensor:
    """Scores at least in float32, in which weights are made."""
    return values.to(_wide_type(values))


def _wide_type(values: Tensor) -> torch.dtype:
    return torch.promote_types(values.dtype, torch.float32)
