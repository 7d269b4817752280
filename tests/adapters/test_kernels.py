"""Adapters on bases whose attention is computed by kernels that show no weights."""

import pytest
import torch
from adapted import SETTINGS, make_config, stir
from decoders import decoder

import gia.adapters as adapters
from gia.adapters.kernels import mask_of_pairs

transformers = pytest.importorskip("transformers")
IDS = torch.randint(2, 61, (2, 12), generator=torch.Generator().manual_seed(1))
FLASH = "gia_test_streamed"  # transformers looks for others with flash in their names
each = pytest.mark.parametrize("adapter", SETTINGS)


def flash(module, query, key, value, attention_mask, scaling=None, **kwargs):
    """What flash attention computes, from what it is given; it never gives weights."""
    assert module.config._attn_implementation == FLASH  # it asks which kernel is meant
    mask = mask_of_pairs(FLASH, query, key, attention_mask, kwargs)
    if mask is None and query.size(2) > 1:
        mask = torch.ones(query.size(2), key.size(2), dtype=torch.bool).tril(
            key.size(2) - query.size(2)
        )
    out = torch.nn.functional.scaled_dot_product_attention(
        query, key, value, attn_mask=mask, scale=scaling, enable_gqa=True
    )
    return out.nan_to_num().transpose(1, 2).contiguous(), None


@pytest.fixture(autouse=True)
def registered():
    from transformers.masking_utils import AttentionMaskInterface, flash_attention_mask

    transformers.AttentionInterface.register(FLASH, flash)
    AttentionMaskInterface.register(FLASH, flash_attention_mask)


def build(kind, adapter, kernel, **settings):
    model = decoder(kind)
    model.set_attn_implementation(kernel)
    torch.manual_seed(2)
    adapters.add(model, make_config(adapter, **settings))
    if adapter == "graph_lora":
        stir(model)
    return model


def logits(model, ids=IDS, **kwargs):
    with torch.no_grad():
        return model(input_ids=ids, **kwargs).logits


def assert_close(ours, theirs):
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)


@each
@pytest.mark.parametrize("kind", ["llama", "mistral", "gpt_neox"])
def test_flash_says_what_sdpa_says(kind, adapter):
    ours, theirs = (build(kind, adapter, kernel) for kernel in (FLASH, "sdpa"))
    assert not torch.allclose(logits(ours), logits(decoder(kind)), atol=1e-2)
    assert_close(logits(ours), logits(theirs))
    mask = torch.ones_like(IDS)
    mask[0, :5] = 0
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    told = {"attention_mask": mask, "position_ids": positions}
    assert_close(logits(ours, **told)[mask == 1], logits(theirs, **told)[mask == 1])
    packed = {"position_ids": torch.arange(12).repeat(2).unsqueeze(0), "use_cache": False}
    assert_close(logits(ours, IDS.view(1, -1), **packed), logits(theirs, IDS.view(1, -1), **packed))
    options = {"max_new_tokens": 6, "do_sample": False, "attention_mask": mask}
    assert torch.equal(ours.generate(IDS, **options), theirs.generate(IDS, **options))
    assert ours.config._attn_implementation == FLASH


@each
def test_gradients_under_flash(adapter):
    """Through the edges too."""
    found = []
    for kernel in (FLASH, "sdpa"):
        model = build("llama", adapter, kernel, edge_gradients=True)
        model(input_ids=IDS, labels=IDS).loss.backward()
        found.append([value.grad for value in adapters.parameters(model)])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-2, atol=1e-3)


@pytest.mark.slow
@each
@pytest.mark.parametrize("kind", ["llama", "mistral"])
def test_flex_says_what_sdpa_says(kind, adapter):
    """torch's kernel, compiled for the CPU."""
    ours, theirs = (build(kind, adapter, kernel) for kernel in ("flex_attention", "sdpa"))
    assert_close(logits(ours), logits(theirs))
    mask = torch.ones_like(IDS)
    mask[0, :5] = 0
    told = {"attention_mask": mask, "position_ids": (mask.cumsum(1) - 1).clamp(min=0)}
    assert_close(logits(ours, **told)[mask == 1], logits(theirs, **told)[mask == 1])


def test_a_block_mask_is_a_mask_of_pairs():
    from torch.nn.attention.flex_attention import create_block_mask

    def window(batch, head, query, key):
        return (query >= key) & (query - key < 3 + batch)

    block = create_block_mask(window, 2, None, 12, 12, device="cpu")
    x = torch.zeros(2, 1, 12, 4)
    mask = mask_of_pairs("flex_attention", x, x, block, {})
    away = torch.arange(12).unsqueeze(1) - torch.arange(12)
    for batch in (0, 1):
        assert torch.equal(mask[batch, 0], (away >= 0) & (away < 3 + batch))


@pytest.mark.parametrize(
    ("padding", "arguments", "expected"),
    [
        (None, {}, None),
        (None, {"sliding_window": 6}, None),  # nothing is out of it
        (None, {"sliding_window": 2}, lambda away: (away >= 0) & (away < 2)),
        (None, {"position_ids": torch.arange(4).view(1, 4)}, None),
        (None, {"position_ids": torch.tensor([[0, 1, 0, 1]])}, "packed"),
        (None, {"cu_seq_lens_q": torch.tensor([0, 2, 4])}, "packed"),
        (torch.tensor([[0, 1, 1, 1]]), {}, "padded"),
        (torch.tensor([[1, 1]]), {}, "static"),
    ],
)
def test_what_flash_is_told_in_other_ways(padding, arguments, expected):
    queries = 2 if expected == "static" else 4
    query, key = torch.zeros(1, 2, queries, 3), torch.zeros(1, 1, 4, 3)
    found = mask_of_pairs("flash_attention_2", query, key, padding, arguments)
    if expected is None:
        assert found is None
        return
    causal = torch.ones(4, 4, dtype=torch.bool).tril()
    if expected == "packed":
        causal[2:, :2] = False
    elif expected == "padded":
        causal[:, 0] = False
    elif expected == "static":
        causal = causal[:2]
    else:
        causal = expected(torch.arange(4).unsqueeze(1) - torch.arange(4))
    assert torch.equal(found[0, 0], causal)


@pytest.mark.parametrize("kernel", ["paged|sdpa", "nobody_knows"])
def test_kernels_that_cannot_be_observed(kernel):
    model = decoder("llama")
    model.config._attn_implementation = kernel
    with pytest.raises(ValueError, match=r"cannot be observed: .*attn_implementation='sdpa'"):
        adapters.add(model)
