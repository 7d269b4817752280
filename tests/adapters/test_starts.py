"""How an adapter starts, what it reads and where it adds: the laws of adapters for each option."""

import json

import pytest
import torch
from adapted import logits_with_cache, without_dropout
from decoders import decoder

import gia.adapters as adapters
from gia.adapters import GraphLoRAConfig, SparseGINConfig

pytest.importorskip("transformers")
OPTIONS = {
    "published": SparseGINConfig.published().to_dict() | {"scale": 0.5},
    "default": {},
    "before_mlp": {"position": "before_mlp"},
    "after_mlp": {"position": "after_mlp"},
    "norm": {"norm": "before"},
    "relative_scale": {"relative_scale": True, "position": "before_mlp", "scale": 2.0},
    "relative_scale beside": {"relative_scale": True, "scale": 2.0},
    "train_scale": {"train_scale": True},
    "per_head": {"combine": "per_head", "gate": 0.7},
    "sinks": {"sinks": 1, "gate": None},
    "top_k": {"top_k": 3, "gate": 1.0},
}
each_option = pytest.mark.parametrize("option", OPTIONS)
each_kind = pytest.mark.parametrize("kind", ["llama", "gemma2", "gpt_neox", "gpt2", "phi", "olmo2"])
IDS = torch.randint(2, 61, (2, 12), generator=torch.Generator().manual_seed(1))


def adapted(kind, option, **settings):
    """A decoder in double precision whose adapter says something."""
    model = decoder(kind).double()
    start = {"scale": 0.5, "gate": 1.0, "zero_output": False}
    options = start | OPTIONS[option] | {"channels": 4} | settings
    adapters.add(model, SparseGINConfig(**options))
    return model


def logits(model, ids=IDS, **kwargs):
    with torch.no_grad():
        return model(input_ids=ids, **kwargs).logits


def parts(model):
    layers = (getattr(layer, "gia_adapters", None) for layer in model.modules())
    return [layer.adapters["default"] for layer in layers if layer is not None]


def gradients(model, **kwargs):
    without_dropout(model).train().zero_grad()
    model(input_ids=IDS, labels=IDS, **kwargs).loss.backward()
    return {name: p.grad for name, p in model.named_parameters() if p.requires_grad}


@each_kind
@each_option
def test_law_9_a_new_adapter_changes_nothing_and_learns(kind, option):
    model = decoder(kind)
    before = logits(model)
    options = OPTIONS[option] | {"channels": 4}
    if option == "published":
        options["scale"] = 0.0
    adapters.add(model, SparseGINConfig(**options))
    assert torch.equal(logits(model), before)
    found = gradients(model)
    moves = "scale" if option == "published" else "out_proj.weight"
    assert all(grad.abs().max() > 0 for name, grad in found.items() if name.endswith(moves))
    optimizer = torch.optim.AdamW(adapters.parameters(model), 1e-2)
    optimizer.step()
    found = gradients(model)
    last = max(name.split(".gia_adapters")[0] for name in found)
    still = [name for name, grad in found.items() if last in name and not grad.abs().max() > 0]
    assert still == []
    model.eval()
    assert not torch.allclose(logits(model), before)
    adapters.disable(model)
    assert torch.equal(logits(model), before)
    adapters.enable(model)
    adapters.remove(model)
    assert torch.equal(logits(model), before)


@each_kind
@each_option
def test_law_4_nothing_leaks_from_later_tokens(kind, option):
    model = adapted(kind, option)
    before = logits(model)
    other = IDS.clone()
    other[:, 6] = 60 - other[:, 6] % 50
    after = logits(model, other)
    assert torch.equal(after[:, :6], before[:, :6])
    assert not torch.allclose(after[:, 6:], before[:, 6:])


@each_kind
@each_option
def test_law_8_cached_equals_uncached(kind, option):
    model = adapted(kind, option)
    whole = logits(model)
    torch.testing.assert_close(logits_with_cache(model, IDS), whole)


@each_kind
@each_option
def test_padding_has_no_effect(kind, option):
    model = adapted(kind, option)
    if kind == "gemma2":  # in double precision its own eager attention makes NaN of padding
        model = model.float()
    alone = logits(model, IDS[:1])
    mask = torch.cat([torch.zeros(1, 5), torch.ones(1, 12)], 1).long()
    padded = torch.cat([torch.zeros(1, 5).long(), IDS[:1]], 1)
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    inside = logits(model, padded, attention_mask=mask, position_ids=positions)[:, 5:]
    tolerance = 1e-4 if kind == "gemma2" else 1e-7
    torch.testing.assert_close(inside, alone, rtol=tolerance, atol=tolerance)


@each_kind
@each_option
def test_checkpointing_gives_the_gradients(kind, option):
    exact = gradients(adapted(kind, option))
    model = adapted(kind, option)
    model.load_state_dict(adapted(kind, option).state_dict())
    model.gradient_checkpointing_enable({"use_reentrant": False})
    found = gradients(model)
    assert found.keys() == exact.keys()
    for name, grad in found.items():
        torch.testing.assert_close(grad, exact[name])


@each_option
def test_saved_and_loaded(option, tmp_path):
    model = adapted("llama", option)
    other = decoder("llama").double()
    adapters.load(other, adapters.save(model, tmp_path / "adapter"))
    assert parts(other)[0].config == parts(model)[0].config
    assert torch.equal(logits(other), logits(model))


@each_option
def test_generation_says_the_same_with_a_cache(option):
    model = adapted("llama", option).float()
    options = {"max_new_tokens": 6, "do_sample": False, "num_beams": 2}
    assert torch.equal(
        model.generate(IDS, **options), model.generate(IDS, use_cache=False, **options)
    )


def test_files_from_before_these_options_are_read_as_they_were(tmp_path):
    settings = SparseGINConfig.published(channels=4, scale=0.5)
    model = decoder("llama")
    adapters.add(model, settings)
    folder = adapters.save(model, tmp_path)
    file = folder / "adapter_config.json"
    values = json.loads(file.read_text())
    for newer in ("gate", "norm", "zero_output", "train_scale", "relative_scale", "scalar_lr"):
        del values["config"][newer]
    file.write_text(json.dumps(values))
    other = decoder("llama")
    adapters.load(other, folder)
    assert parts(other)[0].config == settings
    assert torch.equal(logits(other), logits(model))


@pytest.mark.parametrize(
    ("kind", "normed", "added_to"),
    [
        ("llama", "post_attention_layernorm", "mlp"),
        ("gpt_neox", "post_attention_layernorm", "mlp"),
        ("gemma2", "pre_feedforward_layernorm", "post_feedforward_layernorm"),
        ("olmo2", None, "post_feedforward_layernorm"),
    ],
)
def test_beside_the_mlp_reads_what_the_mlp_reads(kind, normed, added_to):
    """And what it adds is added to what the layer adds, behind a norm where there is one."""
    model = adapted(kind, "default")
    seen = {}
    layer = next(m for m in model.modules() if hasattr(m, "gia_adapters"))
    part = layer.gia_adapters.adapters["default"]
    if normed:
        getattr(layer, normed).register_forward_hook(
            lambda module, args, out: seen.update(normed=out)
        )
    layer.mlp.register_forward_pre_hook(lambda module, args: seen.update(mlp=args[0]))
    part.register_forward_pre_hook(lambda module, args: seen.update(read=args[0]))
    part.register_forward_hook(lambda module, args, out: seen.update(delta=out))
    layer.register_forward_hook(
        lambda module, args, out: seen.update(out=out[0] if isinstance(out, tuple) else out)
    )
    logits(model)
    assert torch.equal(seen["read"], seen["mlp"])
    assert normed is None or torch.equal(seen["read"], seen["normed"])
    with_it, delta = seen["out"], seen["delta"]
    with adapters.disabled(model):
        logits(model)
    torch.testing.assert_close(with_it - seen["out"], delta)


def test_relative_scale_follows_what_is_added_to():
    """Ten times the stream, ten times what is added: norms before make f(10 h) = f(h)."""
    model = adapted("llama", "relative_scale", norm="before", self_loops=False)
    part, hidden = parts(model)[0], torch.randn(2, 12, 32).double()
    from gia.graph import EdgeAdjacency

    edges = EdgeAdjacency(torch.tensor([[0, 1], [1, 2]]), torch.ones(2).double(), num_nodes=24)
    once, tenfold = part(hidden, edges), part(10 * hidden, edges)
    torch.testing.assert_close(tenfold, 10 * once, rtol=1e-4, atol=1e-4)
    assert once.abs().max() > 0.01


def test_a_gate_multiplies_messages_and_nothing_else():
    open_, shut = adapted("llama", "per_head", gate=1.0), adapted("llama", "per_head", gate=0.0)
    plain = adapted("llama", "per_head", gate=None)
    itself = adapted("llama", "per_head", gate=None, cut=0.999)
    for model in (open_, shut, itself):
        state = {k: v for k, v in plain.state_dict().items() if "gate" not in k}
        model.load_state_dict(state, strict=False)
    torch.testing.assert_close(logits(open_), logits(plain))
    torch.testing.assert_close(logits(shut), logits(itself))  # no edge at all
    assert not torch.allclose(logits(open_), logits(shut))


def test_learning_rates_of_their_own():
    model = decoder("llama")
    trained = {"gate": 0.0, "train_scale": True, "train_threshold": True, "scalar_lr": 5.0}
    options = {"channels": 4, "combine": "per_head", "alpha": 10.0, "cut": 0.5, "layers": [1]}
    adapters.add(model, SparseGINConfig(**options, **trained))
    before = "model.layers.1.gia_adapters.adapters.default."
    expected = ("scale", "weights.threshold", "hops.0.gate", "hops.0.eps")
    assert adapters.lr_factors(model) == {before + name: 5.0 for name in expected}
    assert adapters.lr_factors(model).keys() < dict(model.named_parameters()).keys()
    adapters.remove(model)
    assert adapters.lr_factors(model) == {}


def inputs_of(model, batches, number=0):
    """What a layer's adapter reads in some batches, ``[N, D]``."""
    seen = []
    hook = parts(model)[number].in_proj.register_forward_pre_hook(
        lambda module, args: seen.append(args[0].flatten(0, 1))
    )
    for batch in batches:
        logits(model, ids=batch["input_ids"])
    hook.remove()
    return torch.cat(seen)


@pytest.mark.parametrize("option", ["default", "before_mlp", "published"])
def test_a_start_out_of_data_spans_what_varies_most(option):
    model = decoder("llama").double()
    options = OPTIONS[option] | {"channels": 4} | ({"scale": 0.0} if option == "published" else {})
    adapters.add(model, SparseGINConfig(**options))
    before, length = logits(model), parts(model)[0].in_proj.weight.norm(dim=1).mean()
    ids = torch.randint(2, 61, (6, 12), generator=torch.Generator().manual_seed(7))
    batches = [{"input_ids": part, "labels": part} for part in ids.split(2)]
    adapters.initialize(model, batches)
    assert torch.equal(logits(model), before)
    for number, part in enumerate(parts(model)):
        _, _, vectors = torch.linalg.svd(inputs_of(model, batches, number), full_matrices=False)
        weight = part.in_proj.weight.detach()
        kept = torch.nn.functional.normalize(weight, dim=1) @ vectors[:4].T
        assert kept.norm(dim=1).min() > 0.97  # batch by batch it is nearly the whole's
        torch.testing.assert_close(kept[0].abs().max(), torch.ones(()).double(), rtol=1e-3, atol=0)
    torch.testing.assert_close(parts(model)[0].in_proj.weight.norm(dim=1).mean(), length)


def test_padding_is_no_data():
    ids = torch.randint(2, 61, (4, 12), generator=torch.Generator().manual_seed(7))
    mask = torch.ones_like(ids)
    mask[:, 8:] = 0
    found = []
    for padding in (0, 5):
        model = adapted("llama", "default")
        padded = ids.masked_fill(mask == 0, padding)
        adapters.initialize(model, [{"input_ids": padded, "attention_mask": mask}])
        found.append(parts(model)[0].in_proj.weight)
    torch.testing.assert_close(*found)
    model = decoder("llama")
    adapters.add(model, GraphLoRAConfig(r=2))
    with pytest.raises(ValueError, match="the adapter 'default' is no Sparse-GIN"):
        adapters.initialize(model, [{"input_ids": ids}])
    with pytest.raises(ValueError, match=r"layer 0 has 4 channels to start, but was shown 3 tok"):
        adapters.initialize(adapted("llama", "default"), [{"input_ids": ids[:1, :3]}])
    model = adapted("llama", "default").train()
    adapters.initialize(model, ({"input_ids": ids} for _ in range(99)), max_batches=2)
    assert model.training
