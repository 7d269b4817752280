"""Attention of a layer as a graph: which pairs become edges, in blocks of queries."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from gia.typing import OptTensor

# Entries of a block of attention weights: what is in memory at a time.
BLOCK = 2**21
# What a mask adds to the score of a pair that is not seen is below this in every precision.
UNSEEN = torch.finfo(torch.float16).min / 2

# With so few entries, all pairs at once are faster than a list of edges.
FEW = 2**16

Keep = Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Observed:
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
        step = max(1, BLOCK // max(1, sequences * heads * keys))
        for start in range(0, queries, step):
            yield slice(start, min(start + step, queries))

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

    def weights(self, rows: slice, allowed: OptTensor) -> tuple[Tensor, OptTensor]:
        """Attention weights of a block, and how its scores follow their uncapped ones.

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
        if self.mask is not None and self.mask.dtype != torch.bool:
            score = score + self.mask[:, :, rows, :keys]
        if allowed is not None:
            score = score.masked_fill_(~allowed, -torch.inf)
        weight = score.softmax(-1)
        # A row that sees nothing, such as padding's: only a mask makes such rows.
        return weight if self.mask is None else weight.nan_to_num_(), slope


@dataclass(frozen=True)
class Edges:
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


def select(observed: Observed, keep: Keep, gradients: bool = True) -> Edges:
    """The pairs of a layer's attention that become edges.

    All pairs are looked at in blocks, of which none is kept; the backward pass computes them anew.

    Args:
        observed (Observed): What attention is computed from.
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
        attention = _Attention.apply(
                observed.query, observed.key, observed, attention,
                (sequence, target, source), counts,
            )  # fmt: skip
    attention = attention.to(torch.promote_types(observed.query.dtype, torch.float32))
    return Edges(sequence, target, source, attention, distance)


def fits_at_once(observed: Observed) -> bool:
    """Whether all pairs are looked at as a whole: few of them, and no gradient is asked for."""
    sequences, heads, queries, keys = observed.shape
    return not torch.is_grad_enabled() and sequences * heads * queries * keys <= FEW


def all_pairs(observed: Observed, distance: bool) -> tuple[Tensor, OptTensor, OptTensor]:
    """Of all pairs: attention, what is allowed (None: all), and the distance if asked for."""
    rows = slice(0, observed.query.size(2))
    if observed.mask is None and observed.query.size(2) == 1:  # a token sees all before it
        allowed = None
        weight, _ = observed.weights(rows, allowed)
    else:
        allowed = observed.allowed(rows)
        weight, _ = observed.weights(rows, allowed)
        allowed = allowed.any(1, keepdim=True)
    return weight, allowed, observed.distance(rows) if distance else None


class _Attention(torch.autograd.Function):
    """Attention weights of some pairs; those of all pairs are computed anew for the gradient."""

    @staticmethod
    def forward(ctx, query, key, observed, attention, places, counts):
        ctx.save_for_backward(query, key, attention, *places)
        ctx.observed, ctx.counts = replace(observed, query=None, key=None), counts
        return attention.clone()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        query, key, attention, *places = ctx.saved_tensors
        observed = replace(ctx.observed, query=query, key=key)
        (sequences, heads, *_), groups = observed.shape, key.size(1)
        grad_query = torch.zeros_like(query, dtype=attention.dtype)
        grad_key = torch.zeros_like(key, dtype=attention.dtype)
        paid = grad * attention  # [E, H]
        start = 0
        for rows, number in zip(observed.blocks(), ctx.counts, strict=True):
            part = slice(start, start + number)
            start += number
            if number == 0:
                continue
            sequence, target, source = (place[part] for place in places)
            target = target - rows.start
            keys = observed.width(rows)
            weight, slope = observed.weights(rows, observed.allowed(rows))
            # d score = A (grad - sum of A grad), where grad is 0 but at the edges.
            total = weight.new_zeros(sequences, weight.size(2), heads)
            total.index_put_((sequence, target), paid[part], accumulate=True)
            score = weight.mul_(total.transpose(1, 2).unsqueeze(-1).neg())
            place = (sequence.unsqueeze(1), torch.arange(heads, device=score.device).unsqueeze(0))
            place = (*place, target.unsqueeze(1), source.unsqueeze(1))
            score.index_put_(place, score[place] + paid[part])  # no pair is an edge twice
            if slope is not None:
                score = score * slope
            score = (score * observed.scaling).view(sequences, groups, -1, keys)
            asked = query[:, :, rows].reshape(sequences, groups, -1, query.size(-1))
            grad_query[:, :, rows] = (score @ key[:, :, :keys].to(score.dtype)).view_as(
                query[:, :, rows]
            )
            grad_key[:, :, :keys] += score.transpose(2, 3) @ asked.to(score.dtype)
        return grad_query.to(query.dtype), grad_key.to(key.dtype), None, None, None, None
