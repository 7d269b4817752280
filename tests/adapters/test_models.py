"""One suite for all families: identity, laws 4, 7, 8 and 9, padding, saving, switching."""

import pytest
import torch
from adapted import SETTINGS, adapted, logits_with_cache, make_config, stir, without_dropout
from decoders import KINDS, OTHERS, REAL, decoder

import gia.adapters as adapters
from gia.adapters import SparseGINConfig

pytest.importorskip("transformers")
CACHE = "past_key_values"
ALL = pytest.mark.parametrize("kind", [*KINDS, REAL])
NEW = {"sparse_gin": {"scale": 0.0}, "graph_lora": {}}  # as adapters start
EACH = pytest.mark.parametrize("adapter", SETTINGS)
LENGTH = 12


def tokens(batch=2, length=LENGTH, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(2, 61, (batch, length), generator=generator)


def logits(model, ids, **kwargs):
    with torch.no_grad():
        return model(input_ids=ids, **kwargs).logits


@ALL
@pytest.mark.parametrize("position", ["before_mlp", "beside_mlp", "after_mlp"])
def test_law_9_new_disabled_and_removed(kind, position):
    model, ids = decoder(kind), tokens()
    before = logits(model, ids)
    adapters.add(model, SparseGINConfig(channels=4, position=position))
    assert torch.equal(logits(model, ids), before)
    for parameter in adapters.parameters(model):
        torch.nn.init.normal_(parameter)
    changed = logits(model, ids)
    assert not torch.allclose(changed, before, atol=1e-4)
    with adapters.disabled(model):
        assert torch.equal(logits(model, ids), before)
    assert torch.equal(logits(model, ids), changed)
    adapters.disable(model)
    assert torch.equal(logits(model, ids), before)
    adapters.enable(model)
    assert torch.equal(logits(model, ids), changed)
    adapters.remove(model)
    assert torch.equal(logits(model, ids), before)
    assert adapters.names(model) == []
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert not any("gia" in name for name, _ in model.named_modules())


@ALL
@pytest.mark.parametrize("position", ["before_mlp", "beside_mlp", "after_mlp"])
def test_law_4_nothing_leaks_from_later_tokens(kind, position):
    model, ids = adapted(kind, position=position), tokens()
    before = logits(model, ids)
    for place in (4, LENGTH - 1):
        other = ids.clone()
        other[:, place] = 60 - other[:, place] % 50
        after = logits(model, other)
        assert torch.equal(after[:, :place], before[:, :place])
        assert not torch.allclose(after[:, place:], before[:, place:])


@ALL
@EACH
@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_has_no_effect(kind, adapter, side):
    model, ids = adapted(kind, adapter), tokens(batch=1)
    if kind == "gemma2":  # in double precision its own eager attention makes NaN of padding
        model = model.float()
    alone = logits(model, ids)
    pad = torch.zeros(1, 5, dtype=torch.long)
    parts = [pad, ids] if side == "left" else [ids, pad]
    mask = torch.cat([torch.zeros_like(p) if p is pad else torch.ones_like(p) for p in parts], 1)
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    batch = torch.cat([torch.cat(parts, 1), tokens(1, LENGTH + 5, seed=3)])
    padded = logits(
        model,
        batch,
        attention_mask=torch.cat([mask, torch.ones_like(mask)]),
        position_ids=torch.cat([positions, torch.arange(LENGTH + 5).unsqueeze(0)]),
    )
    inside = padded[:1, 5:] if side == "left" else padded[:1, :LENGTH]
    tolerance = 1e-4 if kind == "gemma2" else 1e-7
    torch.testing.assert_close(inside, alone, rtol=tolerance, atol=tolerance)


@ALL
@EACH
def test_law_8_cached_equals_uncached(kind, adapter):
    model, ids = adapted(kind, adapter), tokens()
    whole = logits(model, ids)
    torch.testing.assert_close(logits_with_cache(model, ids, CACHE), whole)


@pytest.mark.parametrize("kind", OTHERS)
@EACH
def test_other_families_too(kind, adapter):
    """Identity when new, the cache, and that an adapter acts."""
    model, ids = decoder(kind), tokens()
    before = logits(model, ids)
    adapters.add(model, make_config(adapter, **NEW[adapter]))
    assert torch.equal(logits(model, ids), before)
    model = adapted(kind, adapter).float()
    assert not torch.allclose(logits(model, ids), before, atol=1e-3)
    options = {"max_new_tokens": 8, "do_sample": False}
    cached = model.generate(ids, **options)
    assert torch.equal(cached, model.generate(ids, use_cache=False, **options))


def test_all_families_are_tested():
    models = {decoder(kind).config.model_type for kind in {**KINDS, **OTHERS}}
    assert {*adapters.FAMILIES} == models


@ALL
@EACH
@pytest.mark.parametrize("way", ["greedy", "sample", "beams", "padded"])
def test_law_8_generate(kind, adapter, way):
    """The model's own generate says the same with its cache and without."""
    model, ids = adapted(kind, adapter).float(), tokens(length=6)
    options = {"max_new_tokens": 7, "do_sample": way == "sample"}
    if way == "beams":
        options["num_beams"] = 3
    if way == "padded":
        mask = torch.ones_like(ids)
        mask[0, :3] = 0
        options["attention_mask"] = mask
    outputs = []
    for use_cache in (True, False):
        torch.manual_seed(0)
        outputs.append(model.generate(ids, use_cache=use_cache, **options))
    assert outputs[0].shape[1] > 6
    assert torch.equal(*outputs)
    with adapters.disabled(model):
        torch.manual_seed(0)
        assert not torch.equal(model.generate(ids, **options), outputs[0])


@ALL
@EACH
def test_assisted_decoding_says_the_same(kind, adapter):
    model, ids = adapted(kind, adapter).float(), tokens(batch=1, length=6)
    helper = decoder(kind, seed=3, num_hidden_layers=1)
    plain = model.generate(ids, max_new_tokens=9, do_sample=False)
    settings = {"max_new_tokens": 9, "do_sample": False, "assistant_model": helper}
    try:
        with adapters.disabled(model):
            model.generate(ids, **settings)
    except RuntimeError as error:
        if "must match the size of tensor" not in str(error):
            raise
        pytest.skip("transformers 5.17 and older cannot assist this model by itself")
    assert torch.equal(plain, model.generate(ids, **settings))


@ALL
@EACH
def test_saved_and_loaded(kind, adapter, tmp_path):
    model, ids = adapted(kind, adapter), tokens()
    expected = logits(model, ids)
    folder = adapters.save(model, tmp_path / "adapter")
    assert {path.name for path in folder.iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
    }
    other = decoder(kind).double()
    adapters.load(other, folder, name="again")
    assert adapters.names(other) == ["again"]
    assert torch.equal(logits(other, ids), expected)


@ALL
@EACH
def test_two_adapters_add_up_and_are_apart(kind, adapter):
    model, ids = adapted(kind, adapter), tokens()
    first = logits(model, ids)
    other = {"sparse_gin": {"channels": 3, "scale": 0.3}, "graph_lora": {"r": 3}}[adapter]
    adapters.add(model, make_config(adapter, **other, layers=[1]), name="second")
    if adapter == "graph_lora":
        stir(model, "second")
    second = logits(model, ids)
    assert {p.requires_grad for p in adapters.parameters(model)} == {False}
    assert {p.requires_grad for p in adapters.parameters(model, "second")} == {True}
    adapters.set(model, ["default", "second"])
    both = logits(model, ids)
    for one, other in ((first, second), (first, both), (second, both)):
        assert not torch.allclose(one, other)
    adapters.set(model, "default")
    assert torch.equal(logits(model, ids), first)
    adapters.remove(model, "second")
    assert torch.equal(logits(model, ids), first)
    assert adapters.names(model) == ["default"]


def trained(model, ids, steps=3):
    """Losses of a few steps."""
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], 1e-2)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        optimizer.step()
        losses.append(float(loss))
    return losses


@ALL
@EACH
def test_only_the_adapter_is_trained_also_under_checkpointing(kind, adapter):
    losses = []
    for checkpointing in (False, True):
        model, ids = adapted(kind, adapter).train(), tokens()
        if adapter == "graph_lora":  # as large as it is elsewhere, a step overshoots
            for parameter in adapters.parameters(model):
                parameter.data.mul_(0.2)
        before = {name: value.clone() for name, value in model.state_dict().items()}
        if checkpointing:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        losses.append(trained(without_dropout(model), ids))
        for name, value in model.state_dict().items():
            assert ("gia_adapters" in name) != torch.equal(value, before[name]), name
    assert losses[0][-1] < losses[0][0]
    assert losses[0] == pytest.approx(losses[1])


@ALL
@EACH
def test_with_lora(kind, adapter):
    peft = pytest.importorskip("peft")
    model, ids = decoder(kind), tokens()
    before = logits(model, ids)
    model = peft.get_peft_model(
        model, peft.LoraConfig(r=2, target_modules="all-linear", task_type="CAUSAL_LM")
    )
    adapters.add(model, make_config(adapter, **NEW[adapter]))
    assert torch.equal(logits(model, ids), before)
    names = [name for name, value in model.named_parameters() if value.requires_grad]
    assert {"lora_" in name for name in names} == {True, False}
    assert all("lora_" in name or "gia_adapters" in name for name in names)
    losses = trained(model, ids)
    assert losses[-1] < losses[0]
    out = model.generate(input_ids=ids[:, :5], max_new_tokens=4, do_sample=False)
    plain = model.generate(input_ids=ids[:, :5], max_new_tokens=4, do_sample=False, use_cache=False)
    assert torch.equal(out, plain)
    adapters.remove(model)
    with model.disable_adapter():
        assert torch.equal(logits(model, ids), before)


@ALL
@EACH
def test_bf16(kind, adapter):
    model, ids = adapted(kind, adapter).to(torch.bfloat16), tokens()
    exact = logits(adapted(kind, adapter), ids)
    rough = logits(model, ids)
    assert rough.dtype == torch.bfloat16
    assert torch.isfinite(rough).all()
    similar = torch.nn.functional.cosine_similarity(rough.double(), exact, dim=-1)
    assert similar.mean() > 0.9
    assert torch.isfinite(torch.tensor(trained(model.train(), ids))).all()
