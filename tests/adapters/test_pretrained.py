"""A pretrained decoder as a language model of gia's, and what its checkpoints hold."""

import pytest
import torch
from bases import as_gguf, tiny_base
from torch import nn
from torch_geometric.data import Batch, Data

import gia.adapters as adapters
from gia.adapters import (
    FullFineTuning,
    GraphLoRAConfig,
    LoRA,
    PretrainedLM,
    SparseGINConfig,
    load_base,
)
from gia.data import PretrainedTokenizer
from gia.nn import count_parameters
from gia.tasks.task import parameter_groups

GIN = SparseGINConfig.published(channels=4, scale=0.5, train_threshold=True)
KINDS = {
    "lora": LoRA(r=2),
    "sparse_gin": GIN,
    "graph_lora": GraphLoRAConfig(r=2),
    "full": FullFineTuning(),
    "none": None,
}
ALL = pytest.mark.parametrize("kind", KINDS)
TOKENS = Data(token=torch.tensor([5, 9, 2, 40, 7]), num_nodes=5)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tiny_base(tmp_path_factory.mktemp("base"))


def changed(base, kind, seed=0):
    """A model of which all is changed that is trained."""
    torch.manual_seed(seed)
    lm = PretrainedLM(base, KINDS[kind]).eval()
    with torch.no_grad():
        for value in lm.parameters():
            if value.requires_grad:
                value.add_(torch.randn_like(value) * 0.1)
    return lm


@ALL
def test_the_state_is_what_is_trained(base, kind):
    lm = changed(base, kind)
    state = lm.state_dict()
    trained = {name for name, value in lm.named_parameters() if value.requires_grad}
    if kind == "full":
        assert state.keys() >= trained
        assert count_parameters(lm) == count_parameters(load_base(base))
        return
    assert state.keys() == trained
    assert (kind == "none") == (not state)
    whole = nn.ModuleDict({"model": lm}).state_dict()  # as a task holds it
    assert whole.keys() == {f"model.{name}" for name in state}


@ALL
def test_its_size_is_known_without_its_weights(base, kind):
    with torch.device("meta"):
        sized = PretrainedLM(base, KINDS[kind])
    assert all(value.is_meta for value in sized.parameters())
    assert count_parameters(sized) == count_parameters(PretrainedLM(base, KINDS[kind]))


@ALL
def test_it_comes_back_from_its_state(base, kind):
    lm, other = changed(base, kind), changed(base, kind, seed=1)
    task = nn.ModuleDict({"model": other})
    state = nn.ModuleDict({"model": lm}).state_dict()
    task.load_state_dict(state)  # strictly
    with torch.no_grad():
        assert torch.equal(lm(TOKENS), other(TOKENS))
    if kind != "none":
        del state[next(iter(state))]
        with pytest.raises(RuntimeError, match="Missing key"):
            task.load_state_dict(state)
    with pytest.raises(RuntimeError, match="Unexpected key"):
        task.load_state_dict(state | {"model.lm.more": torch.zeros(1)})


@ALL
def test_as_pretrained_is_the_base(base, kind):
    lm = changed(base, kind)
    with torch.no_grad():
        expected = load_base(base).eval()(TOKENS.token[None]).logits[0]
        tuned = lm(TOKENS)
        with lm.as_pretrained() as found:
            torch.testing.assert_close(found(TOKENS), expected)
        assert torch.equal(lm(TOKENS), tuned)
    assert torch.allclose(tuned, expected) == (kind == "none")


@ALL
@pytest.mark.parametrize("pack", [True, False])
def test_losses_are_those_of_the_logits(base, kind, pack):
    lm = changed(base, kind)
    lm.pack = pack
    batch = Batch.from_data_list([Data(token=TOKENS.token[:n], num_nodes=n) for n in (5, 2, 3)])
    y = torch.tensor([3, 1, -100, 7, 5, -100, -100, 2, 9, 1])
    expected = nn.functional.cross_entropy(lm(batch), y, reduction="none")[y != -100]
    losses = lm.losses(batch, y)
    torch.testing.assert_close(losses, expected)
    if kind == "none":
        return
    trained = [value for value in lm.parameters() if value.requires_grad]
    grads = [torch.autograd.grad(one.square().sum(), trained) for one in (losses, expected)]
    for one, other in zip(*grads, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


def test_scaled_logits_have_their_losses(base):
    class Scaled(nn.Linear):
        def forward(self, x):
            return super().forward(x) * 3

    lm = PretrainedLM(base, LoRA(r=2)).eval()
    y = TOKENS.token
    plain = lm.losses(TOKENS, y)
    for scale in ("a head of another kind", "what comes after the head"):
        other = PretrainedLM(base, LoRA(r=2)).eval()
        if scale == "a head of another kind":
            head = other.lm.get_output_embeddings()
            head.__class__ = Scaled
        else:
            other.lm.register_forward_hook(_three_times)
        losses = other.losses(TOKENS, y)
        expected = nn.functional.cross_entropy(other(TOKENS), y, reduction="none")
        torch.testing.assert_close(losses, expected)
        assert not torch.allclose(losses, plain)


def _three_times(lm, args, out):
    out.logits = out.logits * 3


@pytest.mark.parametrize("kind", ["lora", "sparse_gin", "graph_lora", "full"])
def test_what_is_trained_learns_and_nothing_else(base, kind):
    torch.manual_seed(0)
    lm = PretrainedLM(base, KINDS[kind])
    before = {name: value.clone() for name, value in lm.named_parameters()}
    optimizer = torch.optim.Adam([p for p in lm.parameters() if p.requires_grad], lr=1e-2)
    losses = []
    for _ in range(5):
        loss = nn.functional.cross_entropy(lm(TOKENS)[:-1], TOKENS.token[1:])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    for name, value in lm.named_parameters():
        assert torch.equal(value, before[name]) == (not value.requires_grad), name


def test_lora_is_pefts_on_all_linear_layers(base):
    lm = PretrainedLM(base, LoRA(r=3, lora_alpha=6, lora_dropout=0.25))
    layer = lm.lm.model.layers[0].self_attn.q_proj
    assert layer.scaling == {"default": 2.0}
    assert layer.lora_A["default"].weight.shape == (3, 32)
    assert layer.lora_dropout["default"].p == 0.25
    # q and o, k and v of half the heads, gate, up and down, in both layers.
    assert count_parameters(lm) == 2 * 3 * (2 * 64 + 2 * (32 + 16) + 3 * (32 + 48))
    only = PretrainedLM(base, LoRA(r=3, target_modules=["q_proj"]))
    assert count_parameters(only) == 2 * 3 * 64


def test_scales_and_thresholds_have_a_rate_of_their_own(base):
    lm = PretrainedLM(base, GIN)
    factors = lm.lr_factors
    assert {name.rpartition(".")[2] for name in factors} >= {"scale", "threshold"}
    assert set(factors.values()) == {10.0}
    assert factors.keys() < dict(lm.named_parameters()).keys()
    assert PretrainedLM(base, LoRA()).lr_factors == {}
    groups = parameter_groups(lm, factors)
    fast = [group for group in groups if group.get("lr_factor") == 10.0]
    assert sum(len(group["params"]) for group in fast) == len(factors) >= 4  # of two layers
    assert sum(len(group["params"]) for group in groups) == len(adapters.parameters(lm.lm))


@pytest.mark.parametrize("kind", ["lora", "sparse_gin", "graph_lora"])
def test_what_it_writes_is_the_likeliest(base, kind):
    lm = changed(base, kind)
    prompts = [torch.tensor([5, 9, 2]), torch.tensor([7])]
    written = lm.generate(prompts, max_new_tokens=6, temperature=0)
    for prompt, found in zip(prompts, written, strict=True):
        tokens = prompt
        for _ in range(6):
            with torch.no_grad():
                logits = lm(Data(token=tokens, num_nodes=len(tokens)))
            tokens = torch.cat([tokens, logits[-1].argmax()[None]])
        assert torch.equal(found, tokens)
    stop = int(written[0][4])
    first = written[0].tolist().index(stop, 3)
    ended = lm.generate(prompts, max_new_tokens=6, temperature=0, stop=stop)
    assert ended[0].tolist() == written[0].tolist()[: first + 1]
    never = lm.generate(prompts, max_new_tokens=6, temperature=0, forbid=[stop])
    assert stop not in never[0].tolist()[3:]


def test_samples_are_of_their_seed_and_leave_other_draws_alone(base):
    lm, prompt = changed(base, "lora"), [torch.tensor([5, 9])] * 3

    def write(seed, **options):
        generator = torch.Generator().manual_seed(seed)
        return lm.generate(prompt, max_new_tokens=8, generator=generator, **options)

    torch.manual_seed(7)
    expected = torch.rand(2)
    torch.manual_seed(7)
    first = write(1)
    assert torch.equal(torch.rand(2), expected)
    assert all(torch.equal(a, b) for a, b in zip(first, write(1), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(first, write(2), strict=True))
    assert not torch.equal(first[0], first[1])
    greedy = lm.generate(prompt, max_new_tokens=8, temperature=0)
    assert all(torch.equal(found, greedy[0]) for found in write(3, top_k=1))


def test_texts_end_where_the_base_ends(tmp_path):
    short = tiny_base(tmp_path, context=8)
    with pytest.raises(ValueError, match=r"reads at most 8 tokens.*give data.max_length=8"):
        PretrainedLM(short, max_length=9)
    lm = PretrainedLM(short, max_length=8)
    (written,) = lm.generate([torch.tensor([5, 9])], max_new_tokens=50, temperature=0)
    assert len(written) == 8
    with pytest.raises(ValueError, match="the prompt has 8 tokens"):
        lm.generate([torch.arange(8)], max_new_tokens=1)
    with pytest.raises(ValueError, match="top_k must be at least 1"):
        lm.generate([torch.arange(3)], max_new_tokens=1, top_k=0)


def test_graphs_are_those_that_the_adapter_reads(base):
    lm = changed(base, "sparse_gin")
    first, second = lm.graphs(TOKENS)
    assert first.token.tolist() == TOKENS.token.tolist()
    assert (first.edge_index[0] <= first.edge_index[1]).all()
    assert second.edge_weight.shape == (second.num_edges, 1)
    assert second.num_edges > 0
    assert changed(base, "lora").graphs(TOKENS) == []


def test_errors_name_the_value(base):
    with pytest.raises(ValueError, match=r"model.dtype must be one of float32.*got 'int8'"):
        PretrainedLM(base, dtype="int8")
    with pytest.raises(FileNotFoundError, match=r"there is no model \./nowhere"):
        PretrainedLM("./nowhere")
    with pytest.raises(ValueError, match=r"adapter\.r must be a whole number"):
        LoRA(r=0)
    with pytest.raises(ValueError, match=r"adapter\.lora_dropout must be from 0"):
        LoRA(lora_dropout=1.0)
    with pytest.raises(ValueError, match="no longer what it was"):
        FullFineTuning().disabled(nn.Linear(1, 1))


def test_a_gguf_file_is_the_model_that_it_was_made_of(base, tmp_path):
    file = as_gguf(base, tmp_path / "tiny.gguf")
    with torch.no_grad():
        assert torch.equal(PretrainedLM(file).eval()(TOKENS), PretrainedLM(base).eval()(TOKENS))
    ours, theirs = PretrainedTokenizer(file), PretrainedTokenizer(base)
    text = "What is 12 and 7? It is 19, odd."
    assert torch.equal(ours.encode(text), theirs.encode(text))
    assert ours.eos == theirs.eos
    # What is trained on it alone is kept.
    lm = changed(file, "graph_lora")
    other = PretrainedLM(file, KINDS["graph_lora"]).eval()
    other.load_state_dict(lm.state_dict())
    with torch.no_grad():
        assert torch.equal(lm(TOKENS), other(TOKENS))
