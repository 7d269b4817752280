"""Attention of a layer as a graph: which pairs become edges, in blocks of queries."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from gia.ops.recompute import in_blocks, recomputed
from gia.ops.softmax_gradient import softmax_gradient
from gia.typing import OptTensor

# Entries of a block of attention weights: what is in memory at a time.
BLOCK = 2**21
# What a mask adds to the score of a pair that is not seen is below this in every precision.
UNSEEN = torch.finfo(torch.float16).min / 2

# With so few entries, all pairs at once are faster than a list of edges.
FEW = 2**16

Keep = Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class ObservedAttention:
    """What a layer's attention is computed from.

    Attributes:
        query (Tensor): After rotation, ``[B, H, Q, d]``.
        key (Tensor): With those of a cache before them, ``[B, G, K, d]`` for G groups of heads.
        mask (Tensor, optional): Of booleans, or added to the scores, ``[B, 1 or H, Q, >= K]``; left
            out, each of the last Q tokens sees itself and all before it.
        scaling (float): Of the scores.
        softcap (float, optional): Scores s become ``softcap * tanh(s / softcap)``.
        first (int, optional): The key slot of the first query; left out, queries are the last keys.
    """

    query: Tensor
    key: Tensor
    mask: OptTensor
    scaling: float
    softcap: float | None = None
    first: int | None = None

    @property
    def start(self) -> int:
        """The key slot of the first query."""
        return self.key.size(2) - self.query.size(2) if self.first is None else self.first

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Sequences B, heads H, queries Q and keys K."""
        return *self.query.shape[:3], self.key.size(2)

    def blocks(self) -> Iterator[slice]:
        """Queries of which all pairs fit into memory."""
        sequences, heads, queries, keys = self.shape
        return in_blocks(queries, sequences * heads * keys, BLOCK)

    def width(self, rows: slice) -> int:
        """How many of the keys K some query of a block may see: a block has these alone."""
        return self.start + rows.stop if self.mask is None else self.key.size(2)

    def distance(self, rows: slice) -> Tensor:
        """How far back each key stands of each query, in tokens, ``[1, q, K]``."""
        place = torch.arange(self.width(rows), device=self.key.device)
        return (place[self.start :][rows].unsqueeze(1) - place).unsqueeze(0)

    def allowed(self, rows: slice) -> Tensor:
        """Which keys each query may see, ``[B or 1, 1 or H, q, K]``."""
        if self.mask is None:
            return (self.distance(rows) >= 0).unsqueeze(1)
        mask = self.mask[:, :, rows, : self.key.size(2)]
        return mask if mask.dtype == torch.bool else mask > UNSEEN

    def weights(self, rows: slice, allowed: OptTensor = None) -> tuple[Tensor, OptTensor]:
        """Attention weights of a block, and how its scores follow their uncapped ones.

        Args:
            rows (slice): The queries q of the block.
            allowed (Tensor, optional): What :meth:`allowed` says of them, where it is known.

        Returns:
            tuple: ``[B, H, q, K]`` in single precision at least, 0 where nothing is seen; and
            the derivative of the capped scores, None without a cap.
        """
        (sequences, heads, *_), keys = self.shape, self.width(rows)
        key = self.key[:, :, :keys].flatten(0, 1)  # [B G, K, d]
        query = self.query[:, :, rows].reshape(key.size(0), -1, key.size(-1))
        score = torch.baddbmm(
            query.new_empty(()), query, key.transpose(1, 2), beta=0, alpha=self.scaling
        ).view(sequences, heads, -1, keys)
        score = score.to(torch.promote_types(score.dtype, torch.float32))
        slope = None
        if self.softcap is not None:
            capped = (score / self.softcap).tanh_()
            slope, score = 1 - capped.square(), capped.mul(self.softcap)
        if self.mask is None:
            _hide_later(score)
            return score.softmax(-1), slope
        if self.mask.dtype != torch.bool:
            score = score + self.mask[:, :, rows, :keys]
        score.masked_fill_(~(self.allowed(rows) if allowed is None else allowed), -torch.inf)
        # Only a mask makes rows that see nothing, such as those of padding.
        return score.softmax(-1).nan_to_num_(), slope


def _hide_later(score: Tensor) -> None:
    """Take away what queries, of which the last keys are the own ones, may not see."""
    queries, keys = score.shape[-2:]
    if queries > 1:
        later = torch.ones(queries, queries, dtype=torch.bool, device=score.device).triu_(1)
        score[..., keys - queries :].masked_fill_(later, -torch.inf)


@dataclass(frozen=True)
class AttentionEdges:
    """Pairs that were kept, E of them, ordered by query.

    Attributes:
        sequence, target, source (Tensor): The sequence, query and key of each, ``[E]``.
        attention (Tensor): What each head pays, ``[E, H]``, with its gradient.
        distance (Tensor): How far back the key stands, ``[E]``.
    """

    sequence: Tensor
    target: Tensor
    source: Tensor
    attention: Tensor
    distance: Tensor


def select(observed: ObservedAttention, keep: Keep, gradients: bool = True) -> AttentionEdges:
    """The pairs of a layer's attention that become edges.

    All pairs are looked at in blocks, of which none is kept; the backward pass computes them anew.

    Args:
        observed (ObservedAttention): What attention is computed from.
        keep (callable): ``keep(attention [B, H, q, K], allowed, distance)``, which pairs to keep,
            ``[B, q, K]``.
        gradients (bool): Whether the edges' attention has a gradient.
    """
    found = []
    with torch.no_grad():
        for rows in observed.blocks():
            allowed = observed.allowed(rows)
            weight, _ = observed.weights(rows, allowed)
            distance = observed.distance(rows)
            kept = keep(weight, allowed.any(1, keepdim=True), distance)
            sequence, target, source = kept.nonzero().unbind(1)
            value = weight[sequence, :, target, source]
            away = distance.expand(kept.shape)[sequence, target, source]
            found.append((sequence, target + rows.start, source, value, away))
    sequence, target, source, attention, distance = (
        parts[0] if len(parts) == 1 else torch.cat(parts) for parts in zip(*found, strict=True)
    )
    counts = [part[0].numel() for part in found]
    needed = observed.query.requires_grad or observed.key.requires_grad
    if gradients and needed and torch.is_grad_enabled():
        # Queries and keys are handed back by autograd, which then sees what becomes of them.
        rest = replace(observed, query=None, key=None)
        places = sequence, target, source
        pull_back = partial(_pull_back, observed=rest, places=places, counts=counts)
        attention = recomputed(attention, (observed.query, observed.key), pull_back)
    attention = attention.to(torch.promote_types(observed.query.dtype, torch.float32))
    return AttentionEdges(sequence, target, source, attention, distance)


def dense(
    observed: ObservedAttention, weigh: Callable[[Tensor, slice], Tensor], gradients: bool
) -> Tensor:
    """Weights of all pairs, made of a layer's attention block by block.

    Args:
        observed (ObservedAttention): What attention is computed from.
        weigh (callable): ``weigh(attention [B, H, q, k], rows)``, the weights of a block of
            queries, ``[B, G, q, k]``, where the first k of the keys can be seen.
        gradients (bool): Whether they have a gradient.

    Returns:
        Tensor: ``[B, G, Q, K]``, in single precision at least.
    """
    whole = None
    with torch.no_grad():
        for rows in observed.blocks():
            weight, _ = observed.weights(rows)
            part = weigh(weight, rows)
            if part.shape[2:] == observed.shape[2:]:
                whole = part
                break
            if whole is None:
                whole = part.new_zeros(*part.shape[:2], *observed.shape[2:])
            whole[:, :, rows, : part.size(-1)] = part
    needed = observed.query.requires_grad or observed.key.requires_grad
    if not (gradients and needed and torch.is_grad_enabled()):
        return whole
    rest = replace(observed, query=None, key=None)
    pull_back = partial(_pull_back_dense, observed=rest, weigh=weigh)
    return recomputed(whole, (observed.query, observed.key), pull_back)


def _pull_back_dense(
    grad: Tensor,
    tensors: Sequence[Tensor],
    *,
    observed: ObservedAttention,
    weigh: Callable[[Tensor, slice], Tensor],
) -> tuple[Tensor, Tensor]:
    """The gradients of queries and keys, given that of the weights, ``[B, G, Q, K]``."""
    query, key = tensors
    observed = replace(observed, query=query, key=key)
    grad_query, grad_key = (torch.zeros_like(x, dtype=grad.dtype) for x in tensors)
    for rows in observed.blocks():
        weight, slope = observed.weights(rows)
        with torch.enable_grad():
            attention = weight.detach().requires_grad_()
            part = weigh(attention, rows)
        (of_weight,) = torch.autograd.grad(part, attention, grad[:, :, rows, : part.size(-1)])
        score = weight * (of_weight - (weight * of_weight).sum(-1, keepdim=True))
        _add_gradients(observed, rows, score, slope, (grad_query, grad_key))
    return grad_query, grad_key


def fits_at_once(observed: ObservedAttention) -> bool:
    """Whether all pairs are looked at as a whole: few of them, and no gradient is asked for."""
    sequences, heads, queries, keys = observed.shape
    return not torch.is_grad_enabled() and sequences * heads * queries * keys <= FEW


def all_pairs(
    observed: ObservedAttention, distance: bool, self_loops: bool = True
) -> tuple[Tensor, OptTensor, OptTensor]:
    """Of all pairs: attention, 0 for that of a token to itself without ``self_loops``; what is
    allowed (None: all), and the distance if asked for."""
    rows = slice(0, observed.query.size(2))
    one = observed.mask is None and observed.query.size(2) == 1  # a token sees all before it
    allowed = None if one else observed.allowed(rows)
    weight, _ = observed.weights(rows, allowed)
    if allowed is not None:
        allowed = allowed.any(1, keepdim=True)
    if not self_loops:
        weight.diagonal(observed.start, 2, 3).zero_()
    return weight, allowed, observed.distance(rows) if distance else None


def _pull_back(
    grad: Tensor,
    tensors: Sequence[Tensor],
    *,
    observed: ObservedAttention,
    places: Sequence[Tensor],
    counts: Sequence[int],
) -> tuple[Tensor, Tensor]:
    """The gradients of queries and keys, given that of the edges' attention, ``[E, H]``."""
    query, key = tensors
    observed = replace(observed, query=query, key=key)
    heads = observed.shape[1]
    grad_query, grad_key = (torch.zeros_like(x, dtype=grad.dtype) for x in tensors)
    head = torch.arange(heads, device=grad.device)
    parts = zip(grad.split(counts), *(place.split(counts) for place in places), strict=True)
    for rows, (of_edges, sequence, target, source) in zip(observed.blocks(), parts, strict=True):
        if sequence.numel() == 0:
            continue
        weight, slope = observed.weights(rows)
        queries, keys = weight.shape[2:]
        row = (sequence.unsqueeze(1) * heads + head) * queries + (target - rows.start).unsqueeze(1)
        score = softmax_gradient(weight, row * keys + source.unsqueeze(1), of_edges)
        _add_gradients(observed, rows, score, slope, (grad_query, grad_key))
    return grad_query, grad_key


def _add_gradients(
    observed: ObservedAttention,
    rows: slice,
    score: Tensor,
    slope: OptTensor,
    to: tuple[Tensor, Tensor],
) -> None:
    """Add to the gradients of queries and keys what a block's scores, ``[B, H, q, k]``, bring."""
    grad_query, grad_key = to
    groups, keys = observed.key.size(1), score.size(-1)
    if slope is not None:
        score = score * slope
    score = (score * observed.scaling).view(score.size(0), groups, -1, keys)
    asked = observed.query[:, :, rows].reshape(*score.shape[:3], observed.query.size(-1))
    of_query = score @ observed.key[:, :, :keys].to(score.dtype)
    grad_query[:, :, rows] = of_query.view_as(grad_query[:, :, rows])
    grad_key[:, :, :keys] += score.transpose(2, 3) @ asked.to(score.dtype)
