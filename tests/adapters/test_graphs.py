"""The graphs that adapters read, for their users."""

import pytest
import torch
from decoders import KINDS, decoder

import gia.adapters as adapters
from gia.adapters import SparseGINConfig, graphs

pytest.importorskip("transformers")
IDS = torch.randint(2, 61, (2, 12), generator=torch.Generator().manual_seed(1))


def adapted(kind="llama", **settings):
    model = decoder(kind)
    adapters.add(model, SparseGINConfig.published(**{"channels": 4, "scale": 0.5} | settings))
    return model


@pytest.mark.parametrize("kind", KINDS)
def test_they_are_the_models_own_attention(kind):
    """All pairs, without a transformation: the attention that the model itself gives out."""
    model = decoder(kind).double()
    if kind == "gemma2":  # torch's kernel leaves out the cap on its scores
        model.set_attn_implementation("eager")
    adapters.add(model, SparseGINConfig.published(channels=4, cut=None, alpha=None, combine="mean"))
    found = graphs(model, IDS)
    adapters.remove(model)
    model.set_attn_implementation("eager")
    with torch.no_grad():
        expected = model(input_ids=IDS, output_attentions=True, use_cache=False).attentions
    assert len(found) == len(expected) == 3
    for batch, attention in zip(found, expected, strict=True):
        for number in range(2):
            graph = batch[number]
            dense = torch.zeros(12, 12, dtype=torch.float64)
            source, target = graph.edge_index
            dense[target, source] = graph.edge_weight
            torch.testing.assert_close(dense, attention[number].mean(0))


@pytest.mark.parametrize("length", [12, 40])
def test_they_hold_to_the_options(length):
    """Short ones are held as rows, long ones as lists."""
    ids = torch.randint(2, 61, (3, length), generator=torch.Generator().manual_seed(2))
    model = adapted(layers=[0, 2], self_loops=False, combine="per_head")
    found = graphs(model, ids)
    assert len(found) == 2
    for batch in found:
        assert batch.num_graphs == 3
        assert torch.equal(batch.token, ids.flatten())
        source, target = batch.edge_index
        assert (source < target).all()
        assert torch.equal(batch.batch[source], batch.batch[target])
        assert batch.edge_weight.shape == (batch.num_edges, 4)
        assert ((batch.edge_weight == 0) | (batch.edge_weight > 0.6)).all()
        assert (batch.edge_weight > 0).any(1).all()
        assert not batch.edge_weight.requires_grad


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_has_no_edges(side):
    model = adapted(cut=0.5)
    (alone, *_), pad = graphs(model, IDS[:1]), torch.zeros(1, 4, dtype=torch.long)
    parts = [pad, IDS[:1]] if side == "left" else [IDS[:1], pad]
    mask = torch.cat([torch.zeros_like(p) if p is pad else torch.ones_like(p) for p in parts], 1)
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    padded, *_ = graphs(model, torch.cat(parts, 1), attention_mask=mask, position_ids=positions)
    assert padded.num_nodes == 16
    offset = 4 if side == "left" else 0
    assert torch.equal(padded.edge_index - offset, alone.edge_index)
    torch.testing.assert_close(padded.edge_weight, alone.edge_weight)


def test_nothing_is_left_on_the_model():
    model = adapted()
    with torch.no_grad():
        before = model(input_ids=IDS).logits
    graphs(model, IDS)
    with torch.no_grad():
        assert torch.equal(model(input_ids=IDS).logits, before)
    for module in model.modules():
        if isinstance(module, adapters.SparseGIN):
            assert not module._forward_pre_hooks


def test_an_adapter_that_is_not_in_use():
    model = adapted()
    with pytest.raises(KeyError, match="no adapter 'other'"):
        graphs(model, IDS, "other")
    adapters.add(model, SparseGINConfig(channels=4), "other")
    with pytest.raises(ValueError, match="'default' is not in use"):
        graphs(model, IDS)
    adapters.set(model, "default")
    with adapters.disabled(model), pytest.raises(ValueError, match="not in use"):
        graphs(model, IDS)
    assert len(graphs(model, IDS)) == 3
