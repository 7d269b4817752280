"""Edges taken from attention in blocks have the values and gradients of attention itself."""

import pytest
import torch

from gia.adapters import attention_edges
from gia.adapters.attention_edges import ObservedAttention, dense, select

B, H, Q, K, D = 2, 4, 5, 9, 3


def observed(groups=4, mask=None, dtype=torch.float64, **settings):
    torch.manual_seed(0)
    query = 2 * torch.randn(B, H, Q, D, dtype=dtype)
    key = 2 * torch.randn(B, groups, K, D, dtype=dtype)
    query.requires_grad_(), key.requires_grad_()
    return ObservedAttention(query, key, mask, 0.7, **settings)


def causal():
    return torch.ones(Q, K, dtype=torch.bool).tril(K - Q).expand(B, 1, Q, K)


def padded():
    mask = causal().clone()
    mask[0, :, :, :6] = False  # a query then sees nothing
    return mask


def attention_of(seen):
    """As it is defined, all pairs at once."""
    key = seen.key.repeat_interleave(H // seen.key.size(1), 1)
    score = seen.query @ key.transpose(2, 3) * seen.scaling
    if seen.softcap is not None:
        score = seen.softcap * (score / seen.softcap).tanh()
    mask = causal() if seen.mask is None else seen.mask
    if mask.dtype != torch.bool:
        score, mask = score + mask, mask > -1e9
    score = score.masked_fill(~mask, -torch.inf)
    return score.softmax(-1).nan_to_num()


SEEN = {
    "plain": {},
    "grouped": {"groups": 2},
    "mask": {"mask": padded()},
    "added": {"mask": torch.zeros(B, 1, Q, K).double().masked_fill(~padded(), -1e30)},
    "softcap": {"softcap": 1.5},
}


@pytest.mark.parametrize("block", [2**21, 100, 1])
@pytest.mark.parametrize("name", SEEN)
def test_edges_have_the_values_and_gradients_of_attention(name, block, monkeypatch):
    monkeypatch.setattr(attention_edges, "BLOCK", block)
    seen = observed(**SEEN[name])
    edges = select(seen, lambda a, allowed, d: (a.sum(1) > 0.4) & allowed.squeeze(1))
    whole = attention_of(seen)
    kept = (whole.sum(1) > 0.4) & (whole.sum(1) > 0)
    assert edges.attention.size(0) == kept.sum() > 10
    place = edges.sequence, slice(None), edges.target, edges.source
    torch.testing.assert_close(edges.attention, whole[place])
    away = edges.target + K - Q - edges.source
    assert torch.equal(edges.distance, away)
    assert (away >= 0).all()
    weight = torch.randn_like(edges.attention)
    inputs = seen.query, seen.key
    ours = torch.autograd.grad((edges.attention * weight).sum(), inputs)
    theirs = torch.autograd.grad((whole[place] * weight).sum(), inputs)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("block", [2**21, 100, 1])
@pytest.mark.parametrize("combine", ["mean", "per_head"])
@pytest.mark.parametrize("name", SEEN)
def test_all_pairs_have_the_values_and_gradients_of_attention(name, combine, block, monkeypatch):
    monkeypatch.setattr(attention_edges, "BLOCK", block)
    seen = observed(**SEEN[name])

    def weigh(attention, rows):
        weight = attention.mean(1, keepdim=True) if combine == "mean" else attention
        weight = weight.masked_fill(seen.distance(rows).unsqueeze(1) == 0, 0)
        return weight / weight.sum(-1, keepdim=True).add(1e-9)

    found = dense(seen, weigh, gradients=True)
    whole = weigh(attention_of(seen), slice(0, Q))
    torch.testing.assert_close(found, whole)
    weight, inputs = torch.randn_like(whole), (seen.query, seen.key)
    ours = torch.autograd.grad((found * weight).sum(), inputs)
    theirs = torch.autograd.grad((whole * weight).sum(), inputs)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other)
    assert not dense(seen, weigh, gradients=False).requires_grad


def test_without_gradients_none_is_kept():
    seen = observed()
    edges = select(seen, lambda a, allowed, d: a.sum(1) > 0.4, gradients=False)
    assert not edges.attention.requires_grad


def test_half_precision_is_computed_in_single():
    seen = observed(dtype=torch.bfloat16)
    edges = select(seen, lambda a, allowed, d: a.sum(1) > 0.4)
    assert edges.attention.dtype == torch.float32
    edges.attention.sum().backward()
    assert seen.query.grad.dtype == torch.bfloat16


def test_unused_slots_of_a_cache_are_behind_the_queries():
    seen = observed(mask=torch.ones(Q, K, dtype=torch.bool).tril(1).expand(B, 1, Q, K), first=1)
    edges = select(seen, lambda a, allowed, d: allowed.squeeze(1).expand(B, Q, K))
    assert torch.equal(edges.distance, edges.target + 1 - edges.source)
    assert edges.distance.min() == 0
