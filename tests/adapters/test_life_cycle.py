"""What can go wrong is said before anything is changed, and what is asked for is done."""

import copy
import json
import pickle

import pytest
import torch
from conftest import ROOT
from decoders import decoder

import gia.adapters as adapters
from gia.adapters import SparseGINConfig

transformers = pytest.importorskip("transformers")
IDS = torch.randint(2, 61, (2, 12), generator=torch.Generator().manual_seed(1))
TINY = {
    "vocab_size": 11,
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
}


def adapted(kind="llama", **settings):
    model = decoder(kind).double()
    adapters.add(model, SparseGINConfig.published(**{"channels": 4, "scale": 0.5} | settings))
    return model


def logits(model, ids=IDS, **kwargs):
    with torch.no_grad():
        return model(input_ids=ids, **kwargs).logits


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (transformers.BertConfig(**TINY), "an encoder's attention is not causal"),
        (transformers.MambaConfig(vocab_size=11, hidden_size=16, num_hidden_layers=1), "no attent"),
        (transformers.T5Config(vocab_size=11, d_model=16, num_layers=1), "encoder-decoder"),
        (transformers.BloomConfig(vocab_size=11, hidden_size=16, n_layer=1, n_head=2), "not known"),
    ],
)
def test_other_architectures_are_refused_with_the_reason(config, reason):
    with torch.device("meta"):
        model = transformers.AutoModel.from_config(config)
    with pytest.raises(ValueError, match=reason):
        adapters.add(model)


def test_bidirectional_decoders_are_refused():
    model = decoder("gemma3", use_bidirectional_attention=True)
    with pytest.raises(ValueError, match="not causal"):
        adapters.add(model)
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_what_is_no_model_is_refused():
    with pytest.raises(ValueError, match="Hugging Face decoder, got Linear"):
        adapters.add(torch.nn.Linear(2, 2))


@pytest.mark.parametrize("flaw", ["kernel", "nan", "layers", "channels", "name", "method", "taken"])
def test_a_model_that_cannot_have_the_adapter_stays_as_it_was(flaw):
    model, config, name = decoder("llama"), SparseGINConfig(channels=4), "new"
    message = {
        "kernel": r"computed by 'paged\|eager' cannot be observed.*'sdpa'",
        "nan": r"layers.1.mlp.up_proj.weight holds numbers that are not finite",
        "layers": r"layers has \[7\], but the model has layers 0 to 2",
        "channels": "multiple of 4",
        "name": "no dot and is no method of a ModuleDict, got 'a.b'",
        "method": "is no method of a ModuleDict, got 'train'",
        "taken": "has an adapter 'new' already",
    }[flaw]
    if flaw == "kernel":
        model.config._attn_implementation = "paged|eager"
    elif flaw == "nan":
        model.model.layers[1].mlp.up_proj.weight.data[0, 0] = torch.nan
    elif flaw == "layers":
        config = SparseGINConfig(channels=4, layers=[0, 7])
    elif flaw == "channels":
        config = SparseGINConfig(channels=3, combine="per_head")
    elif flaw == "name":
        name = "a.b"
    elif flaw == "method":
        name = "train"
    else:
        adapters.add(model, config, name)
    before = {key: value.requires_grad for key, value in model.named_parameters()}
    kernel = model.config._attn_implementation
    with pytest.raises(ValueError, match=message):
        adapters.add(model, config, name)
    assert {key: value.requires_grad for key, value in model.named_parameters()} == before
    assert model.config._attn_implementation == kernel


def test_a_missing_name_lists_those_there_are():
    model = adapted()
    for call in (adapters.set, adapters.remove, adapters.parameters):
        with pytest.raises(KeyError, match="no adapter 'other': it has default"):
            call(model, "other")
    adapters.remove(model)
    with pytest.raises(KeyError, match="no adapter 'default': it has none"):
        adapters.parameters(model)
    with pytest.raises(KeyError, match=r"no adapters: gia\.adapters\.add"):
        adapters.enable(model)
    with (
        pytest.raises(KeyError, match="no adapters"),
        adapters.extra_edges(model, torch.tensor([[0], [1]])),
    ):
        pass
    before = logits(model)
    with adapters.disabled(model):  # nothing to switch off
        assert torch.equal(logits(model), before)


def test_an_adapter_is_used_once_and_enabled_when_it_is_chosen():
    model = adapted()
    before = logits(model)
    adapters.set(model, ["default", "default"])
    assert torch.equal(logits(model), before)
    adapters.disable(model)
    adapters.add(model, SparseGINConfig(channels=3, layers=[0]), "second")
    adapters.set(model, ["default", "second"])
    assert adapters.active(model) == ["default", "second"]
    assert all(layer.gia_adapters.enabled for layer in model.model.layers)
    torch.testing.assert_close(logits(model), before)  # a new one changes nothing


def test_a_cache_is_pickled_and_copied_with_its_nodes():
    model = adapted()
    expected = logits(model)[:, 5:]
    with torch.no_grad():
        cache = model(input_ids=IDS[:, :5], use_cache=True)["past_key_values"]
    for same in (pickle.loads(pickle.dumps(cache)), copy.deepcopy(cache)):
        torch.testing.assert_close(logits(model, IDS[:, 5:], past_key_values=same), expected)


@pytest.fixture
def folder(tmp_path):
    return adapters.save(adapted(), tmp_path / "adapter")


@pytest.mark.parametrize("change", ["width", "layers", "heads"])
def test_an_adapter_for_another_model(folder, change):
    settings = {
        "width": {"hidden_size": 64},
        "layers": {"num_hidden_layers": 2},
        "heads": {"num_attention_heads": 2},
    }[change]
    model = decoder("llama", **settings)
    with pytest.raises(ValueError, match=r"made for another model \(llama\): .* instead of"):
        adapters.load(model, folder)
    assert adapters.names(model) == []


@pytest.mark.parametrize(
    ("flaw", "message"),
    [
        ("cut short", "adapter_model.safetensors is broken"),
        ("not finite", "holds numbers that are not finite"),
        ("other shape", "has shape"),
        ("key", "is missing"),
        ("no json", "adapter_config.json is broken"),
        ("lora", "holds a LORA adapter: load it with PEFT"),
        ("option", r"adapter_config\.json is broken: .* has no option 'chanels'"),
        ("no table", r"adapter_config\.json is broken .*: base and config are tables"),
    ],
)
def test_a_broken_file_leaves_the_model_as_it_was(folder, flaw, message):
    from safetensors.torch import load_file, save_file

    weights, description = folder / "adapter_model.safetensors", folder / "adapter_config.json"
    state, values = load_file(weights), json.loads(description.read_text())
    key = "1.in_proj.weight"
    if flaw == "cut short":
        weights.write_bytes(weights.read_bytes()[:-100])
    elif flaw == "no json":
        description.write_text("{")
    elif flaw in ("lora", "option"):
        values |= {"peft_type": "LORA"} if flaw == "lora" else {"config": {"chanels": 3}}
        description.write_text(json.dumps(values))
    elif flaw == "no table":
        values["base"] = None
        description.write_text(json.dumps(values))
    else:
        if flaw == "not finite":
            state[key][0, 0] = torch.nan
        elif flaw == "other shape":
            state[key] = state[key][:2].clone()
        else:
            del state[key]
        save_file(state, weights)
    model = decoder("llama")
    before = logits(model)
    with pytest.raises(ValueError, match=message):
        adapters.load(model, folder)
    assert torch.equal(logits(model), before)
    assert adapters.names(model) == []
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_a_broken_file_leaves_other_adapters_in_use(folder):
    model = adapted()
    before = logits(model)
    (folder / "adapter_model.safetensors").write_bytes(b"")
    with pytest.raises(ValueError, match="is broken"):
        adapters.load(model, folder, "other")
    flawed = {"trainable_scale": torch.ones(1)}
    with pytest.raises(ValueError, match=r"of one layer|are missing"):
        adapters.load_published(model, flawed, {}, "other")
    assert adapters.active(model) == adapters.names(model) == ["default"]
    assert torch.equal(logits(model), before)


def test_published_weights_on_a_whole_model():
    """Of a layer the reference vectors have the parameters: here every layer has them."""
    from safetensors.torch import load_file

    spec = json.loads((ROOT / "tests" / "reference" / "index.json").read_text())["sparse_gin_sum"]
    vector = load_file(ROOT / "tests" / "reference" / "sparse_gin_sum.safetensors")
    named = {key.removeprefix("param."): value for key, value in vector.items() if "param." in key}
    model = decoder("llama", hidden_size=spec["hidden"]).double()
    before = logits(model)
    state = {f"model.layers.{n}.{key}": value for n in (0, 2) for key, value in named.items()}
    adapters.load_published(model, state, spec["config"])
    assert not torch.allclose(logits(model), before)
    parts = [model.model.layers[n].gia_adapters.adapters["default"] for n in (0, 2)]
    assert not hasattr(model.model.layers[1], "gia_adapters")
    for part in parts:
        assert part.config.edge_direction == "published"
        torch.testing.assert_close(part.scale, named["trainable_scale"][0])
    for layer in adapters.graphs(model, IDS):
        assert torch.equal(layer.edge_index[0], layer.edge_index[1])


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        adapters.load(decoder("llama"), tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"holds no adapter_config\.json"):
        adapters.load(decoder("llama"), tmp_path)


@pytest.mark.parametrize("kind", ["llama", "mistral", "gemma3", "gpt2"])
def test_extra_edges_count_and_are_forgotten(kind):
    model = adapted(kind, cut=None, alpha=None, self_loops=False)
    before = logits(model)
    edges = torch.tensor([[0, 2, 3, 1], [5, 7, 7, 4]])  # [0, 5] and [2, 7] leave a window of 5
    with adapters.extra_edges(model, edges):
        changed = logits(model)
        cache, parts = None, []
        for start, stop in ((0, 3), (3, 6), (6, 7), (7, 8), (8, 12)):
            with torch.no_grad():
                out = model(input_ids=IDS[:, start:stop], past_key_values=cache, use_cache=True)
            cache = out["past_key_values"]
            parts.append(out.logits)
    torch.testing.assert_close(torch.cat(parts, 1), changed)
    with adapters.extra_edges(model, edges[:, [0, 1, 3]]):  # all but the one from 3 to 7
        fewer = logits(model)
    assert torch.equal(changed[:, :7], fewer[:, :7])
    assert not torch.allclose(changed[:, 7:], fewer[:, 7:])
    torch.testing.assert_close(changed[:, :4], before[:, :4])
    assert not torch.allclose(changed[:, 4:], before[:, 4:])
    assert torch.equal(logits(model), before)
    with adapters.extra_edges(model, torch.tensor([[1], [0], [4]]), torch.tensor([0.5])):
        second = logits(model)
    torch.testing.assert_close(second[0], before[0])
    assert not torch.allclose(second[1], before[1])


def test_an_extra_edge_adds_to_the_weight_of_attention():
    model = adapted(alpha=None, cut=None)
    ((plain,), *_) = [layer.to_data_list()[:1] for layer in adapters.graphs(model, IDS)]
    with adapters.extra_edges(model, torch.tensor([[1], [4]]), torch.tensor([0.5])):
        ((graph,), *_) = [layer.to_data_list()[:1] for layer in adapters.graphs(model, IDS)]
    assert torch.equal(graph.edge_index, plain.edge_index)
    here = (plain.edge_index == torch.tensor([[1], [4]])).all(0)
    added = torch.where(here, 0.5, 0.0).double()
    torch.testing.assert_close(graph.edge_weight - plain.edge_weight, added)


def test_extra_edges_do_not_read_padding():
    model, other = adapted(), IDS.clone()
    other[:, 1] = 60 - other[:, 1] % 50
    mask = torch.ones_like(IDS)
    mask[:, :4] = 0
    with adapters.extra_edges(model, torch.tensor([[1], [6]])):
        one, two = (logits(model, ids, attention_mask=mask) for ids in (IDS, other))
        assert torch.equal(one[:, 4:], two[:, 4:])
        assert not torch.allclose(logits(model)[:, 6:], logits(model, other)[:, 6:])


@pytest.mark.parametrize(
    ("edges", "message"),
    [
        ([[2], [0], [5]], "name sequence 2, but there are 2"),
        ([[3], [12]], "name token 12, but there are 12"),
    ],
)
def test_extra_edges_beyond_the_batch(edges, message):
    model = adapted()
    error = pytest.raises(ValueError, match=message)
    with adapters.extra_edges(model, torch.tensor(edges)), error:
        logits(model, use_cache=False)
    assert torch.isfinite(logits(model)).all()


@pytest.mark.parametrize(
    ("edges", "weight", "message"),
    [
        (torch.tensor([[3], [1]]), None, "from earlier tokens to later"),
        (torch.zeros(4, 1, dtype=torch.long), None, r"\[2, E\] or \[3, E\]"),
        (torch.tensor([[0.0], [1.0]]), None, "whole numbers"),
        (torch.tensor([[1], [-1], [5]]), None, "count tokens and sequences from 0"),
        (torch.tensor([[1], [3]]), torch.ones(2), r"must have shape \[1\]"),
    ],
)
def test_extra_edges_that_do_not_fit(edges, weight, message):
    model = adapted()
    with pytest.raises(ValueError, match=message), adapters.extra_edges(model, edges, weight):
        pass


def test_a_cache_that_the_adapter_has_not_seen_is_refused():
    model = adapted()
    with adapters.disabled(model), torch.no_grad():
        out = model(input_ids=IDS[:, :5], use_cache=True)
    with pytest.raises(ValueError, match="holds 5 tokens, of which the adapter has seen 0"):
        logits(model, IDS[:, 5:], past_key_values=out["past_key_values"])


@pytest.mark.parametrize("kind", ["llama", "gpt2", "gpt_neox"])
def test_a_static_cache_says_the_same(kind):
    model = adapted(kind).float()
    options = {"max_new_tokens": 6, "do_sample": False}
    static = model.generate(IDS, cache_implementation="static", disable_compile=True, **options)
    assert torch.equal(static, model.generate(IDS, **options))


def test_a_static_cache_with_a_window_is_refused():
    model = adapted("mistral").float()
    with pytest.raises(ValueError, match="cache_implementation='dynamic'"):
        model.generate(IDS, cache_implementation="static", disable_compile=True, max_new_tokens=3)


@pytest.mark.parametrize("kind", ["llama", "mistral"])
def test_packed_sequences_are_apart(kind):
    model = adapted(kind)
    packed = IDS.reshape(1, -1)
    positions = torch.arange(12).repeat(2).unsqueeze(0)
    together = logits(model, packed, position_ids=positions, use_cache=False)
    torch.testing.assert_close(together.view(2, 12, -1), logits(model))


@pytest.mark.parametrize("side", ["left", "right"])
def test_sinks_are_the_first_tokens_of_each_sequence(side):
    model = adapted(sinks=2, cut=0.3)
    alone = logits(model, IDS[:1])
    assert not torch.allclose(alone, logits(adapted(cut=0.3), IDS[:1]))
    pad = torch.zeros(1, 4, dtype=torch.long)
    parts = [pad, IDS[:1]] if side == "left" else [IDS[:1], pad]
    mask = torch.cat([torch.zeros_like(p) if p is pad else torch.ones_like(p) for p in parts], 1)
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    inside = slice(4, None) if side == "left" else slice(12)
    for told in ({"position_ids": positions}, {}):  # rotations do not care where they begin
        padded = logits(model, torch.cat(parts, 1), attention_mask=mask, **told)
        torch.testing.assert_close(padded[:, inside], alone, rtol=1e-5, atol=1e-5)
    cached = model.float().generate(IDS, max_new_tokens=5, do_sample=False)
    plain = model.generate(IDS, max_new_tokens=5, do_sample=False, use_cache=False)
    assert torch.equal(cached, plain)


def test_law_7_every_edge_counts_in_a_model():
    """The derivative with respect to every kept weight is not zero."""
    model = adapted()
    layer = model.model.layers[-1].gia_adapters
    seen = []
    original = layer.adapters["default"].weights.forward

    def forward(*args):
        weight = original(*args)
        weight.retain_grad()
        seen.append((weight, args[2]))
        return weight

    layer.adapters["default"].weights.forward = forward
    model.requires_grad_(True)
    out = model(input_ids=IDS).logits
    (out * torch.randn_like(out)).sum().backward()
    ((weight, _),) = seen
    assert weight.numel() > 24
    assert (weight.grad != 0).all()


@pytest.mark.parametrize("gradients", [True, False])
def test_edge_gradients_reach_the_layers_before(gradients):
    """Through the last layer's edges alone, when its features are held fixed."""
    model = adapted(edge_gradients=gradients)
    last = model.model.layers[-1].gia_adapters.adapters["default"]
    seen = []
    original = last.forward
    last.forward = lambda hidden, edges, *rest: (
        seen.append(edges.edge_weight) or original(hidden, edges, *rest)
    )
    model(input_ids=IDS)
    assert seen[0].requires_grad == gradients
    if gradients:
        first = model.model.layers[0].gia_adapters.adapters["default"]
        (grad,) = torch.autograd.grad(seen[0].sum(), first.in_proj.weight)
        assert grad.abs().max() > 0
