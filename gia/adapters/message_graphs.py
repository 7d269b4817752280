"""The graphs along which Graph-LoRA passes messages: attention's, and those it is compared with."""

from functools import partial

import torch
from torch import Tensor

from gia.adapters.attention_edges import ObservedAttention, all_pairs, dense, fits_at_once, select
from gia.adapters.dense_rows import DenseRows
from gia.adapters.few_sources import EarlierMean, FewSources
from gia.adapters.graph_lora_config import GraphLoRAConfig
from gia.adapters.weights import EdgeWeights
from gia.graph import Adjacency, EdgeAdjacency
from gia.graph.base import divisor
from gia.typing import OptTensor


def message_graph(
    config: GraphLoRAConfig,
    observed: ObservedAttention,
    weights: EdgeWeights | None,
    *,
    positions: OptTensor = None,
    seen: int | None = None,
    layer: int = 0,
) -> Adjacency:
    """The graph of a pass through a layer.

    Args:
        config (GraphLoRAConfig): Which graph.
        observed (ObservedAttention): The layer's attention.
        weights (EdgeWeights, optional): What makes a sparse graph of it.
        positions (Tensor, optional): Of the new tokens in their sequences, ``[B or 1, Q]``.
        seen (int, optional): Tokens that a cache has seen, the new ones included.
        layer (int): Which layer it is: random edges differ from layer to layer.

    Returns:
        Adjacency: From B * K key slots to B * Q new tokens.
    """
    if config.edges == "self":
        return _earlier_token(observed, 0)
    every = config.edges in ("attention", "uniform") and weights is None
    if every and _sees_all(observed):
        return DenseRows(_of_one_token(config, observed, seen))
    position = source_positions(observed, positions, seen)
    if config.edges == "attention":
        if weights is not None:
            return _sparse(observed, weights, position)
        return DenseRows(_attention(config, observed, position))
    if config.edges == "previous":
        return _earlier_token(observed, 1, position >= config.sinks)
    if config.edges == "random":
        return _random(observed, position, config, layer)
    return _uniform(observed, position >= config.sinks)


def source_positions(observed: ObservedAttention, positions: OptTensor, seen: int | None) -> Tensor:
    """Where each key slot stands in its sequence, ``[B or 1, K]``.

    It is counted back from the new tokens, so that a cache need not keep it.
    """
    sequences, _, queries, keys = observed.shape
    slot = torch.arange(keys, device=observed.key.device)
    if observed.mask is None:  # nothing but tokens, of one sequence each; a window's begin later
        return (slot + max(0, (keys if seen is None else seen) - keys)).unsqueeze(0)
    if positions is None:
        positions = (slot[observed.start :][:queries]).unsqueeze(0)
    if keys == queries:  # maybe of several packed sequences
        position = positions.expand(sequences, -1)
    else:
        last = positions[:, -1:].expand(sequences, -1)
        position = last - (observed.start + queries - 1 - slot)
    # Slots that nothing sees are padding before a sequence, which models count if not told.
    visible = observed.allowed(slice(0, queries)).any(1).any(1).expand(sequences, -1)
    first = visible.long().argmax(1, keepdim=True)
    return position - torch.where(first > 0, position.gather(1, first), 0)


def _attention(config: GraphLoRAConfig, observed: ObservedAttention, position: Tensor) -> Tensor:
    """All pairs, ``[B, 1 or H, Q, K]``."""

    def weigh(attention: Tensor, rows: slice) -> Tensor:
        weight = _combined(config, attention)
        if config.sinks:
            drop = position[:, : weight.size(-1)] < config.sinks
            weight = weight.masked_fill(drop.unsqueeze(1).unsqueeze(1), 0)
        elif weight is attention:
            weight = weight.clone()
        weight.diagonal(observed.start + rows.start, -2, -1).zero_()
        return weight / divisor(weight.sum(-1, keepdim=True))

    return dense(observed, weigh, config.edge_gradients)


def _of_one_token(config: GraphLoRAConfig, observed: ObservedAttention, seen: int | None) -> Tensor:
    """All pairs, or all earlier tokens evenly, for a new token that sees all before it: the same,
    made of few operations."""
    if config.edges == "attention":
        weight = _combined(config, observed.weights(slice(0, 1))[0])
    else:
        sequences, _, _, keys = observed.shape
        dtype = torch.promote_types(observed.query.dtype, torch.float32)
        weight = observed.query.new_ones(sequences, 1, 1, keys, dtype=dtype)
    keys = weight.size(-1)
    first = min(keys, max(0, config.sinks - max(0, (seen or keys) - keys)))
    weight.narrow(-1, keys - 1, 1).zero_()
    if first:
        weight.narrow(-1, 0, first).zero_()
    total, limits = weight.sum(-1, keepdim=True), torch.finfo(weight.dtype)
    # As divisor() of what is not negative, in one operation.
    return weight / torch.threshold(total, limits.tiny / limits.eps, 1)


def _combined(config: GraphLoRAConfig, attention: Tensor) -> Tensor:
    # Rows are divided by their sum, so that a sum over heads is as good as their mean.
    return attention.sum(1, keepdim=True) if config.combine == "mean" else attention


def _sees_all(observed: ObservedAttention) -> bool:
    one = observed.mask is None and observed.query.size(2) == 1
    return one and not torch.is_grad_enabled()


def _sparse(observed: ObservedAttention, weights: EdgeWeights, position: Tensor) -> Adjacency:
    sequences, _, queries, keys = observed.shape
    position = position.expand(sequences, -1)
    if fits_at_once(observed):
        return DenseRows(weights.dense(*all_pairs(observed, distance=True), position))
    keep = partial(weights.keep, source_position=position)
    edges = select(observed, keep, weights.config.edge_gradients)
    target = edges.sequence * queries + edges.target
    source = edges.sequence * keys + edges.source
    weight = weights(edges.attention, edges.distance, target, sequences * queries)
    return EdgeAdjacency(torch.stack([source, target]), weight, num_nodes=sequences * queries)


def _own(observed: ObservedAttention) -> Tensor:
    """The key slots of the queries, ``[Q]``."""
    queries = observed.query.size(2)
    return torch.arange(queries, device=observed.key.device) + observed.start


def _earlier_token(observed: ObservedAttention, back: int, sends: OptTensor = None) -> FewSources:
    """A token so many places back, if it may be seen."""
    sequences, _, queries, keys = observed.shape
    source = (_own(observed) - back).expand(sequences, queries)
    if back:
        there = (source >= 0) & sends.expand(sequences, -1).gather(1, source.clamp(min=0))
        if observed.mask is not None:
            allowed = observed.allowed(slice(0, queries)).any(1).expand(sequences, -1, -1)
            place = source.clamp(min=0).unsqueeze(-1)
            there = there & allowed.gather(2, place).squeeze(-1)
        source = source.masked_fill(~there, -1)
    return FewSources(source.unsqueeze(-1), keys)


def _candidates(observed: ObservedAttention, sends: Tensor) -> Tensor:
    """Which pairs may be edges by their places, ``[B or 1, Q, K]``."""
    rows = slice(0, observed.query.size(2))
    allowed = observed.allowed(rows).any(1) & sends.unsqueeze(1)
    return allowed & (observed.distance(rows) != 0)


def _uniform(observed: ObservedAttention, sends: Tensor) -> Adjacency:
    sequences, _, queries, _ = observed.shape
    own = _own(observed).unsqueeze(0)
    if observed.mask is None:
        return EarlierMean(torch.zeros_like(own), own, sends, sequences)
    allowed = observed.allowed(slice(0, queries)).any(1)  # [B or 1, Q, K]
    first = allowed.to(torch.uint8).argmax(-1)
    number = allowed.sum(-1)
    itself = allowed.gather(2, own.expand(number.shape).unsqueeze(-1)).squeeze(-1)
    if bool((itself & (number != own - first + 1)).any()):  # a mask with holes
        weight = _candidates(observed, sends).to(
            torch.promote_types(observed.query.dtype, torch.float32)
        )
        weight = weight / weight.sum(-1, keepdim=True).clamp(min=1)
        return DenseRows(weight.expand(sequences, -1, -1).unsqueeze(1))
    first = torch.where(itself, first, own)  # padding is sent nothing
    return EarlierMean(first, own.expand(first.shape), sends, sequences)


def _random(
    observed: ObservedAttention, position: Tensor, config: GraphLoRAConfig, layer: int
) -> FewSources:
    """Earlier tokens that depend on the two positions alone: the same with a cache, and padded."""
    sequences, _, queries, keys = observed.shape
    candidates = _candidates(observed, position >= config.sinks)
    target = position[:, observed.start : observed.start + queries].unsqueeze(-1)
    drawn = _hashed(target, position.unsqueeze(1), layer).masked_fill(~candidates, -1)
    value, source = drawn.topk(min(config.top_k, keys), dim=-1)  # [B or 1, Q, k]
    return FewSources(source.masked_fill(value < 0, -1).expand(sequences, -1, -1), keys)


def _hashed(target: Tensor, source: Tensor, layer: int) -> Tensor:
    """Whole numbers that look random, from 0."""
    mixed = (target * 73_856_093) ^ (source * 19_349_663) ^ ((layer + 1) * 83_492_791)
    for multiplier in (0x45D9F3B, 0x27D4EB2D):
        mixed = ((mixed ^ (mixed >> 15)) * multiplier) & 0x7FFFFFFF
    return mixed
