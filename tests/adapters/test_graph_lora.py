"""Graph-LoRA: LoRA where g is 0, the graphs that it is compared with, and what is refused."""

import copy
import io

import pytest
import torch
from adapted import adapted, logits_with_cache, stir
from decoders import MODELS, decoder, pretrained

import gia.adapters as adapters
from gia.adapters import GraphLoRAConfig

transformers = pytest.importorskip("transformers")
QKV = "self_attn_q_proj_k_proj_v_proj"
IDS = torch.randint(2, 61, (2, 12), generator=torch.Generator().manual_seed(1))
EDGES = {
    "attention": {},
    "per head": {"combine": "per_head"},
    "top-k": {"top_k": 3},
    "cut": {"cut": 0.05},
    "per head, top-k": {"combine": "per_head", "top_k": 3},
    "gradients": {"edge_gradients": True, "nonlinear": True, "train_eps": True},
    "uniform": {"edges": "uniform"},
    "previous": {"edges": "previous", "sinks": 0},
    "random": {"edges": "random", "top_k": 3},
    "self": {"edges": "self"},
    "none": {"edges": None},
}
every_edges = pytest.mark.parametrize("edges", EDGES)
some_models = pytest.mark.parametrize("kind", ["llama", "mistral", "gpt_neox"])


def graph_lora(kind="llama", **settings):
    return adapted(kind, "graph_lora", **settings)


def parts(model, name="default"):
    return adapters.decoder.decoder(model).adapter(name)


def logits(model, ids=IDS, **kwargs):
    with torch.no_grad():
        return model(input_ids=ids, **kwargs).logits


def gradients(model, **kwargs):
    model.train().zero_grad()
    model(input_ids=IDS, labels=IDS, **kwargs).loss.backward()
    return [parameter.grad.clone() for parameter in adapters.parameters(model)]


@every_edges
@some_models
def test_new_changes_nothing_and_law_4(kind, edges):
    model = decoder(kind).double()
    before = logits(model)
    adapters.add(model, GraphLoRAConfig(r=2, **EDGES[edges]))
    assert torch.equal(logits(model), before)
    stir(model)
    said = logits(model)
    assert not torch.allclose(said, before)
    for place in (4, 11):
        other = IDS.clone()
        other[:, place] = 60 - other[:, place] % 50
        changed = logits(model, other)
        assert torch.equal(changed[:, :place], said[:, :place])
        assert not torch.allclose(changed[:, place:], said[:, place:])
    with adapters.disabled(model):
        assert torch.equal(logits(model), before)
    adapters.remove(model)
    assert torch.equal(logits(model), before)
    assert not any(module._forward_hooks for module in model.modules())
    assert not any(module._forward_pre_hooks for module in model.modules())


@every_edges
@some_models
def test_law_8_cached_equals_uncached(kind, edges):
    model = graph_lora(kind, **EDGES[edges])
    torch.testing.assert_close(logits_with_cache(model, IDS), logits(model))


@every_edges
@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_has_no_effect(edges, side):
    model, alone = graph_lora(**EDGES[edges]), []
    short = IDS[:1, :7]
    alone = logits(model, short)
    pad = torch.zeros(1, 5, dtype=torch.long)
    rows = [pad, short] if side == "left" else [short, pad]
    mask = torch.cat([torch.zeros_like(p) if p is pad else torch.ones_like(p) for p in rows], 1)
    batch = torch.cat([torch.cat(rows, 1), IDS[1:]])
    mask = torch.cat([mask, torch.ones_like(mask)])
    told = {"position_ids": (mask.cumsum(1) - 1).clamp(min=0)}
    inside = slice(5, None) if side == "left" else slice(7)
    for more, tolerance in ((told, 1e-7), ({}, 1e-4)):  # rotations do not care where they begin
        padded = logits(model, batch, attention_mask=mask, **more)
        torch.testing.assert_close(padded[:1, inside], alone, rtol=tolerance, atol=tolerance)
        torch.testing.assert_close(padded[1:], logits(model, IDS[1:]))


@every_edges
@pytest.mark.parametrize("way", ["beams", "padded", "static"])
def test_generate_says_the_same_with_a_cache(edges, way):
    model = graph_lora(**EDGES[edges]).float()
    options = {"max_new_tokens": 5, "do_sample": False}
    if way == "beams":
        options["num_beams"] = 3
    if way == "padded":
        mask = torch.ones_like(IDS)
        mask[0, :3] = 0
        options["attention_mask"] = mask
    cached = {"cache_implementation": "static", "disable_compile": True} if way == "static" else {}
    plain = model.generate(IDS, use_cache=False, **options)
    assert torch.equal(model.generate(IDS, **cached, **options), plain)


@every_edges
def test_packed_sequences_are_apart(edges):
    model = graph_lora(**EDGES[edges])
    positions = torch.arange(12).repeat(2).unsqueeze(0)
    together = logits(model, IDS.reshape(1, -1), position_ids=positions, use_cache=False)
    torch.testing.assert_close(together.view(2, 12, -1), logits(model))


@every_edges
@pytest.mark.parametrize("targets", ["all-linear", ["q_proj", "v_proj"], ["up_proj", "o_proj"]])
def test_checkpointing_gives_the_gradients_and_holds_nothing(edges, targets):
    model = graph_lora(**EDGES[edges], target_modules=targets)
    exact = gradients(model)
    assert all(bool((grad != 0).any()) for grad in exact)
    model.gradient_checkpointing_enable({"use_reentrant": False})
    model(input_ids=IDS.flip(0))  # a pass in between, of which nothing is left behind
    for one, other in zip(gradients(model), exact, strict=True):
        torch.testing.assert_close(one, other)
    held = [part.held for part in parts(model).values()]
    assert all(one.own is None and not one.z for one in held)
    model.gradient_checkpointing_enable({"use_reentrant": True})
    model.enable_input_require_grads()
    if edges == "gradients" and targets != ["up_proj", "o_proj"]:
        with pytest.raises(RuntimeError, match=r"edges would be lost.*use_reentrant=False"):
            gradients(model)
        return
    for one, other in zip(gradients(model), exact, strict=True):
        torch.testing.assert_close(one, other)


def test_two_passes_before_one_backward_under_checkpointing():
    """Each pass has the graphs of its own."""
    model = graph_lora().train()

    def both():
        model.zero_grad()
        sum(model(input_ids=ids, labels=ids).loss for ids in (IDS[:1], IDS[1:])).backward()
        return [parameter.grad.clone() for parameter in adapters.parameters(model)]

    exact = both()
    model.gradient_checkpointing_enable({"use_reentrant": False})
    for one, other in zip(both(), exact, strict=True):
        torch.testing.assert_close(one, other)


def test_a_copy_in_the_middle_of_training():
    model = graph_lora(edge_gradients=True).train()
    loss = model(input_ids=IDS, labels=IDS).loss
    other = copy.deepcopy(model)
    loss.backward()
    assert torch.equal(logits(other), logits(model))
    adapters.remove(other)
    assert adapters.names(model) == ["default"]


def lora_of(model, rank=2, **settings):
    peft = pytest.importorskip("peft")
    config = peft.LoraConfig(
        r=rank, lora_alpha=3 * rank, target_modules="all-linear", task_type="CAUSAL_LM", **settings
    )
    model = peft.get_peft_model(model, config)
    generator = torch.Generator().manual_seed(3)
    for name, value in model.named_parameters():
        if "lora_" in name:
            value.data.copy_(0.2 * torch.randn(value.shape, generator=generator))
    return model


@pytest.mark.parametrize("kind", ["llama", "gpt2", "phi3", "stories15M"])
@pytest.mark.parametrize("edges", ["attention", "none"])
def test_at_g_0_it_is_pefts_lora(kind, edges):
    """Outputs and gradients: of every A and B, and of all that comes before an edge."""

    def build():
        return (pretrained(kind) if kind == "stories15M" else decoder(kind)).double()

    theirs, ours = lora_of(build()), build()
    adapters.add(ours, GraphLoRAConfig(r=2, lora_alpha=6, **EDGES[edges]))
    given = {name: value for name, value in theirs.named_parameters() if "lora_" in name}
    pairs = []
    for number, part in parts(ours).items():
        for bottleneck in part.groups.values():
            for site, path in enumerate(bottleneck.group.names):
                (a,) = (v for k, v in given.items() if f".{number}.{path}.lora_A" in k)
                (b,) = (v for k, v in given.items() if f".{number}.{path}.lora_B" in k)
                rows = slice(site * 2, site * 2 + 2)
                bottleneck.lora_A.data[rows] = a.data
                before = sum(bottleneck.group.out_features[:site])
                outputs = slice(before, before + b.size(0))
                bottleneck.lora_B.data[outputs] = b.data
                pairs += [(bottleneck.lora_A, rows, a), (bottleneck.lora_B, outputs, b)]
    assert len(pairs) == len(given)
    torch.testing.assert_close(logits(ours), logits(theirs))
    for model in (ours, theirs):
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        model(input_ids=IDS, labels=IDS).loss.backward()
    for mine, rows, parameter in pairs:
        torch.testing.assert_close(mine.grad[rows], parameter.grad)


def by_definition(model, layer, kind):
    """The rows of the graph, from the attention that the model shows."""
    model.set_attn_implementation("eager")
    attention = model(input_ids=IDS, output_attentions=True).attentions[layer]
    earlier = torch.ones(12, 12, dtype=torch.double).tril(-1)
    earlier[:, 0] = 0  # the first token
    if kind == "attention":
        weight = attention.mean(1) * earlier
    elif kind == "top-k":
        mean = attention.mean(1) * earlier
        cut = mean.sort(-1, descending=True).values[..., 2:3]
        weight = mean * (mean >= cut)
    elif kind == "uniform":
        weight = earlier.expand(2, -1, -1)
    elif kind == "self":
        weight = torch.eye(12, dtype=torch.double).expand(2, -1, -1)
    else:
        weight = torch.diag(torch.ones(11, dtype=torch.double), -1).expand(2, -1, -1)
    return weight / weight.sum(-1, keepdim=True).clamp(min=1e-300)


@pytest.mark.parametrize("kind", ["attention", "top-k", "uniform", "previous", "self"])
def test_z_is_as_defined(kind):
    model = graph_lora(**EDGES[kind], train_eps=True)
    seen, layer = {}, 1
    part = parts(model)[layer]
    for key, bottleneck in part.groups.items():
        bottleneck.register_forward_hook(
            lambda module, args, z, key=key: seen.update({key: (args[0], torch.cat(z, -1))})
        )
    logits(model)
    plain = by_definition(model, layer, kind)
    below = by_definition(model, layer - 1, kind)
    assert len(seen) == 4
    for key, (x, z) in seen.items():
        bottleneck = part.groups[key]
        u = x @ bottleneck.lora_A.T
        arrived = (below if bottleneck.group.before_attention else plain) @ u
        expected = u * (1 + bottleneck.eps).repeat_interleave(2) + bottleneck.g * arrived
        torch.testing.assert_close(z.view_as(expected), expected, rtol=1e-4, atol=1e-5)


def test_the_first_layer_has_no_graph_below():
    model = graph_lora()
    first, second, _ = (part.groups[QKV] for part in parts(model).values())
    assert first.g is None
    assert second.g.shape == (6,)
    model = graph_lora(qkv_messages=False)
    assert all(part.groups[QKV].g is None for part in parts(model).values())
    assert not parts(graph_lora(layers=[0, 2]))[2].reads_below


def test_random_edges_have_the_count_of_top_k():
    model = graph_lora(edges="random", top_k=3)
    drawn = {}
    for number, part in parts(model).items():
        part.groups["mlp_down_proj"].register_forward_pre_hook(
            lambda module, args, number=number: drawn.update({number: args[1].to_edges()})
        )
    logits(model)
    for edges in drawn.values():
        source, target = (end % 12 for end in edges.edge_index)
        assert bool((source < target).all() & (source >= 1).all())
        assert edges.count().view(2, 12)[0].tolist() == [0, 0, 1, 2] + [3] * 8
        torch.testing.assert_close(edges.degree().flatten(), edges.count().flatten().clamp(max=1))
    assert not torch.equal(drawn[0].edge_index, drawn[1].edge_index)


@pytest.mark.parametrize("combine", ["mean", "per_head"])
def test_law_7_every_edge_counts(combine):
    """The derivative with respect to every weight is not zero, in every layer that has one."""
    from gia.adapters import graph_lora as module

    model, seen = graph_lora(combine=combine, edge_gradients=True), []
    original = module.message_graph

    def looked_at(*args, **kwargs):
        edges = original(*args, **kwargs)
        edges.weight = edges.weight.detach().requires_grad_()
        seen.append(edges.weight)
        return edges

    module.message_graph = looked_at
    try:
        out = model(input_ids=IDS).logits
    finally:
        module.message_graph = original
    (out * torch.randn_like(out)).sum().backward()
    assert len(seen) == 3
    for weight in seen:
        assert (weight != 0).sum() > 100
        assert bool((weight.grad[weight != 0] != 0).all())


def rms_norm(module, x):
    return module.weight * x * (x.square().mean(-1, keepdim=True) + module.variance_epsilon).rsqrt()


def test_edge_gradients_reach_the_layers_before(monkeypatch):
    """Those of finite differences, through the edges too."""
    norm = transformers.models.llama.modeling_llama.LlamaRMSNorm
    monkeypatch.setattr(norm, "forward", rms_norm)  # the model's own is in single precision
    model = graph_lora(edge_gradients=True, combine="per_head")
    parameter = parts(model)[0].groups[QKV].lora_B

    def loss():
        return model(input_ids=IDS).logits.log_softmax(-1)[..., 3].mean()

    (grad,) = torch.autograd.grad(loss(), parameter)
    place = grad[:32].abs().flatten().argmax()  # of queries
    with torch.no_grad():
        values = []
        for step in (1e-6, -1e-6):
            parameter.view(-1)[place] += step
            values.append(loss())
            parameter.view(-1)[place] -= step
    torch.testing.assert_close(
        (values[0] - values[1]) / 2e-6, grad.flatten()[place], rtol=1e-5, atol=0
    )
    frozen = graph_lora(combine="per_head")
    (other,) = torch.autograd.grad(
        frozen(input_ids=IDS).logits.log_softmax(-1)[..., 3].mean(),
        parts(frozen)[0].groups[QKV].lora_B,
    )
    assert abs(other.flatten()[place] - grad.flatten()[place]) > 0.02 * grad[:32].abs().max()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"r": 0}, "r must be a whole number of at least 1, got 0"),
        ({"lora_alpha": 0}, "lora_alpha must be a finite number above 0, got 0"),
        ({"edges": "all"}, "edges must be one of 'attention', .*, None, got 'all'"),
        ({"edges": "random"}, "set top_k"),
        ({"edges": "uniform", "top_k": 3}, "edges='uniform' has no top_k, got 3"),
        ({"edges": "self", "combine": "per_head"}, "edges='self' needs combine='mean'"),
        ({"top_k": 3, "cut": 0.1}, "top_k=3 is in place of cut=0.1"),
        ({"cut": 1.0}, "cut must be a finite number of at least 0 below 1, got 1.0"),
        ({"target_modules": "q_proj"}, r"'all-linear' or a list of names, got 'q_proj'"),
        ({"target_modules": []}, "must have names of linear layers"),
    ],
)
def test_options_that_do_not_fit(settings, message):
    with pytest.raises(ValueError, match=message):
        GraphLoRAConfig(**settings)


def test_targets_that_are_not_there():
    model = decoder("llama")
    with pytest.raises(
        ValueError, match=r"names out_proj, but the linear layers .*self_attn\.q_proj"
    ):
        adapters.add(model, GraphLoRAConfig(target_modules=["q_proj", "out_proj"]))
    assert adapters.names(model) == []
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_real_text_is_learnt(shared_data):
    """Messages from g = 0: a few steps bring the loss down, and g away from 0."""
    model = pretrained("stories260K")
    tokenizer = transformers.AutoTokenizer.from_pretrained(MODELS / "stories260K")
    text = (shared_data / "text/tinyshakespeare.txt").read_text()[:20_000]
    ids = torch.tensor(tokenizer(text).input_ids)[: 12 * 256].view(12, 4, 64)
    adapters.add(model, GraphLoRAConfig(r=4, lora_alpha=8))
    optimizer = torch.optim.AdamW(adapters.parameters(model), 1e-2)
    losses = []
    for batch in ids:
        loss = model(input_ids=batch, labels=batch).loss
        loss.backward()
        optimizer.step(), optimizer.zero_grad()
        losses.append(float(loss))
    assert sum(losses[-3:]) < sum(losses[:3]) - 0.5
    assert all(
        float(part.groups["mlp_down_proj"].g.abs().max()) > 0 for part in parts(model).values()
    )


@pytest.mark.parametrize("targets", ["all-linear", ["v_proj", "up_proj"]])
def test_pefts_lora_is_loaded(targets, tmp_path):
    peft = pytest.importorskip("peft")
    config = peft.LoraConfig(r=2, lora_alpha=6, target_modules=targets, init_lora_weights=False)
    theirs = peft.get_peft_model(decoder("llama"), config).eval()
    theirs.save_pretrained(tmp_path)
    ours = decoder("llama")
    adapters.load_lora(ours, tmp_path, GraphLoRAConfig(edges="uniform"))
    torch.testing.assert_close(logits(ours), logits(theirs), rtol=1e-5, atol=1e-5)
    values = adapters.learned(ours)
    assert values["1.mlp.up_proj.g"].tolist() == [[0, 0]]
    assert all(not value.any() for value in values.values())
    with pytest.raises(ValueError, match=r"load it with PEFT, or as Graph-LoRA by .*load_lora"):
        adapters.load(decoder("llama"), tmp_path)


def test_a_lora_that_cannot_be_loaded(tmp_path):
    peft = pytest.importorskip("peft")
    model = decoder("llama")
    with pytest.raises(FileNotFoundError, match=r"no adapter_config\.json: it is not a LoRA"):
        adapters.load_lora(model, tmp_path)
    config = peft.LoraConfig(r=2, target_modules=["q_proj"], use_dora=True)
    peft.get_peft_model(decoder("llama"), config).save_pretrained(tmp_path / "dora")
    with pytest.raises(ValueError, match="has use_dora=True, which Graph-LoRA has not"):
        adapters.load_lora(model, tmp_path / "dora")
    config = peft.LoraConfig(r=2, target_modules=["lm_head"])
    peft.get_peft_model(decoder("llama"), config).save_pretrained(tmp_path / "head")
    with pytest.raises(ValueError, match=r"lm_head.*no LoRA of a linear layer of a decoder layer"):
        adapters.load_lora(model, tmp_path / "head")
    adapters.save(graph_lora(), tmp_path / "ours")
    with pytest.raises(ValueError, match=r"holds a GRAPH_LORA adapter .* gia\.adapters\.load"):
        adapters.load_lora(model, tmp_path / "ours")
    assert adapters.names(model) == []


def test_each_kind_is_loaded_as_what_it_is(tmp_path):
    model = graph_lora(combine="per_head", target_modules=["o_proj", "up_proj"], layers=[1, 2])
    adapters.save(model, tmp_path)
    other = decoder("llama").double()
    adapters.load(other, tmp_path)
    assert parts(other)[1].config == parts(model)[1].config
    assert torch.equal(logits(other), logits(model))
    description = tmp_path / "adapter_config.json"
    text = description.read_text()
    description.write_text(text.replace("GRAPH_LORA", "SPARSE_GIN"))
    with pytest.raises(ValueError, match=r"broken: SparseGINConfig has no option 'r'"):
        adapters.load(decoder("llama"), tmp_path)


def test_what_is_learned_can_be_read():
    model = graph_lora(combine="per_head", train_eps=True)
    values = adapters.learned(model)
    part = parts(model)[2].groups["mlp_gate_proj_up_proj"]
    assert torch.equal(values["2.mlp.up_proj.g"], part.g.view(4, 4)[:, 2:])
    assert torch.equal(values["2.mlp.up_proj.eps"], part.eps[1])
    assert "0.self_attn.q_proj.g" not in values
    assert {name.rpartition(".")[2] for name in adapters.lr_factors(model)} == {"g", "eps"}
    assert "0.scale" in adapters.learned(adapted("llama"))


@every_edges
def test_graphs_of_every_kind(edges):
    model = graph_lora(**EDGES[edges])
    if edges == "none":
        with pytest.raises(ValueError, match="reads no graph"):
            adapters.graphs(model, IDS)
        return
    found = adapters.graphs(model, IDS)
    assert len(found) == 3
    for graph in found:
        source, target = graph.edge_index
        assert bool((source <= target).all())
        assert edges == "self" or bool((source < target).all())
        weight = graph.edge_weight.view(graph.num_edges, -1)
        total = torch.zeros(24, weight.size(1)).double().index_add_(0, target, weight.double())
        torch.testing.assert_close(total[total > 0.5], torch.ones_like(total[total > 0.5]))


@pytest.mark.parametrize("how", ["autocast", "half"])
def test_half_precision(how):
    model = graph_lora(edge_gradients=True).float()
    exact = logits(model)
    if how == "half":
        model = adapted("llama", "graph_lora", edge_gradients=True).bfloat16()
    with torch.autocast("cpu", torch.bfloat16, enabled=how == "autocast"):
        rough = logits(model)
        model(input_ids=IDS, labels=IDS).loss.backward()
    similar = torch.nn.functional.cosine_similarity(rough.double(), exact.double(), dim=-1)
    assert similar.mean() > 0.9
    assert all(bool(value.grad.isfinite().all()) for value in adapters.parameters(model))


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_without_messages_it_is_merged(kind):
    model = graph_lora(kind, train_eps=True)
    for part in parts(model).values():
        for bottleneck in part.groups.values():
            if bottleneck.g is not None:
                bottleneck.g.data.zero_()
    said = logits(model)
    adapters.merge(model)
    assert adapters.names(model) == []
    torch.testing.assert_close(logits(model), said, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("adapter", "settings", "message"),
    [
        ("graph_lora", {}, r"sends messages in layer 0 \(g is not 0\).* edges=None"),
        ("graph_lora", {"edges": None, "nonlinear": True}, "is no linear map of a token"),
        ("sparse_gin", {}, "is no linear map of a token"),
    ],
)
def test_what_cannot_be_merged_stays(adapter, settings, message):
    model = adapted("llama", adapter, **settings)
    said = logits(model)
    with pytest.raises(ValueError, match=message):
        adapters.merge(model)
    assert torch.equal(logits(model), said)


@every_edges
def test_a_pickled_model_keeps_its_adapter(edges):
    model, file = graph_lora(**EDGES[edges]), io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    other = torch.load(file, weights_only=False)
    assert torch.equal(logits(other), logits(model))
    adapters.remove(other)
    assert torch.equal(logits(other), logits(decoder("llama").double()))
    assert adapters.names(model) == ["default"]


def test_an_offloaded_base():
    accelerate = pytest.importorskip("accelerate")
    model, plain = decoder("llama"), decoder("llama")
    accelerate.cpu_offload(model, execution_device=torch.device("cpu"))
    for one in (model, plain):
        adapters.add(one, GraphLoRAConfig(r=2))
        stir(one)
    torch.testing.assert_close(logits(model), logits(plain))
    options = {"max_new_tokens": 4, "do_sample": False}
    assert torch.equal(model.generate(IDS, **options), plain.generate(IDS, **options))
