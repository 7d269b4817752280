"""What a base may be: in any precision, offloaded, quantised, checkpointed, copied."""

import copy
import io
import pickle
import subprocess
import sys

import pytest
import torch
from adapted import without_dropout
from conftest import ROOT
from decoders import KINDS, decoder

import gia.adapters as adapters
from gia.adapters import SparseGINConfig

transformers = pytest.importorskip("transformers")
IDS = torch.randint(2, 61, (2, 12), generator=torch.Generator().manual_seed(1))
POSITIONS = pytest.mark.parametrize("position", ["before_mlp", "beside_mlp", "after_mlp"])


def with_adapter(model, name="default", **settings):
    torch.manual_seed(3)
    adapters.add(
        model,
        SparseGINConfig.published(**{"channels": 4, "scale": 0.5} | settings),
        name,
    )
    return model


def adapted(kind="llama", **settings):
    return with_adapter(decoder(kind), **settings)


def logits(model, ids=IDS, **kwargs):
    with torch.no_grad():
        return model(input_ids=ids, **kwargs).logits


def gradients(model, **kwargs):
    without_dropout(model).train().zero_grad()
    model(input_ids=IDS, labels=IDS, **kwargs).loss.backward()
    return [parameter.grad.clone() for parameter in adapters.parameters(model)]


def assert_all_close(ours, theirs):
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other)


def test_a_copy_is_independent():
    model = adapted()
    before, base = logits(model), logits(decoder("llama"))
    other = copy.deepcopy(model)
    assert torch.equal(logits(other), before)
    for parameter in adapters.parameters(other):
        torch.nn.init.normal_(parameter)
    changed = logits(other)
    assert torch.equal(logits(model), before)
    assert not torch.allclose(changed, before)
    adapters.disable(model)
    assert torch.equal(logits(other), changed)
    adapters.enable(model)
    adapters.remove(other)
    assert torch.equal(logits(other), base)
    assert all(parameter.requires_grad for parameter in other.parameters())
    assert torch.equal(logits(model), before)


def test_a_pickled_model_keeps_its_adapter():
    model, file = adapted(), io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    other = torch.load(file, weights_only=False)
    assert torch.equal(logits(other), logits(model))
    adapters.remove(other)
    assert torch.equal(logits(other), logits(decoder("llama")))


def test_a_state_dict_has_the_adapter_and_fits_a_model_that_has_one():
    model, file = adapted(), io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    other = with_adapter(decoder("llama", seed=5))
    assert not torch.equal(logits(other), logits(model))
    other.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(logits(other), logits(model))


def test_a_base_that_is_saved_with_an_adapter_on_it_loads_as_the_base(tmp_path):
    model = adapted()
    model.save_pretrained(tmp_path / "base")
    adapters.save(model, tmp_path / "adapter")
    assert "gia" not in (tmp_path / "base/config.json").read_text()
    other = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "base")
    assert torch.equal(logits(other), logits(decoder("llama")))
    adapters.load(other, tmp_path / "adapter")
    assert torch.equal(logits(other), logits(model))


def test_two_models_do_not_meet():
    one, two = adapted(), adapted("mistral")
    first, second = logits(one), logits(two)
    assert torch.equal(logits(one), first)
    adapters.disable(one)
    assert torch.equal(logits(two), second)
    adapters.remove(one)
    assert torch.equal(logits(two), second)
    assert torch.equal(logits(one), logits(decoder("llama")))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_a_model_is_turned_to_another_precision_with_its_adapter(dtype):
    model = adapted()
    exact = logits(model)
    rough = logits(model.to(dtype))
    assert rough.dtype == dtype
    similar = torch.nn.functional.cosine_similarity(rough.double(), exact.double(), dim=-1)
    assert similar.mean() > 0.95


def test_an_adapter_of_a_half_precision_base_is_trained_in_single():
    model = with_adapter(decoder("llama").bfloat16())
    assert {parameter.dtype for parameter in adapters.parameters(model)} == {torch.float32}
    assert logits(model).dtype == torch.bfloat16
    assert all(grad.isfinite().all() for grad in gradients(model))


def test_training_mode_and_back():
    model = adapted(dropout=0.5)
    before = logits(model)
    model.train()
    assert not torch.equal(logits(model), before)
    model.eval()
    assert torch.equal(logits(model), before)


@pytest.mark.parametrize("kind", ["llama", "mistral", "gpt2"])
def test_a_cache_in_training_changes_no_gradient(kind):
    model = adapted(kind)
    assert_all_close(gradients(model, use_cache=True), gradients(model, use_cache=False))


@pytest.mark.parametrize("kind", ["llama", "gpt2", "gemma3", "phi"])
def test_eager_attention_is_observed_too(kind):
    model = decoder(kind)
    model.set_attn_implementation("eager")
    base = logits(model)
    with_adapter(model)
    torch.testing.assert_close(logits(model), logits(adapted(kind)), rtol=1e-3, atol=1e-3)
    shown = model(input_ids=IDS, output_attentions=True).attentions[0]
    torch.testing.assert_close(shown.sum(-1), torch.ones_like(shown[..., 0]))
    adapters.remove(model)
    assert torch.equal(logits(model), base)
    assert model.config._attn_implementation == "eager"


def test_attention_is_exchanged_while_an_adapter_is_on():
    model = adapted()
    exact = logits(model)
    model.set_attn_implementation("eager")
    torch.testing.assert_close(logits(model), exact, rtol=1e-3, atol=1e-3)
    model.config.output_attentions = True
    assert model(input_ids=IDS).attentions[0].shape == (2, 4, 12, 12)
    adapters.remove(model)
    assert model.config._attn_implementation == "eager"
    assert model(input_ids=IDS).attentions[0].shape == (2, 4, 12, 12)


def test_attention_that_cannot_be_observed_afterwards_is_noticed():
    model = adapted()
    model.config._attn_implementation = "paged|eager"
    with pytest.raises(ValueError, match=r"by 'paged\|eager' cannot.*set_attn_implementation"):
        logits(model)
    model.set_attn_implementation("sdpa")
    assert logits(model).isfinite().all()


@pytest.mark.parametrize("kernel", ["sdpa", "eager"])
def test_a_configuration_has_the_kernel_that_it_had(kernel, tmp_path):
    model = decoder("llama")
    model.set_attn_implementation(kernel)
    model.config.output_attentions = kernel == "eager"
    with_adapter(model)
    model.save_pretrained(tmp_path)
    for one in (model, copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert one.config._attn_implementation == kernel
        assert "gia" not in one.config.to_json_string(use_diff=False)
        assert torch.equal(logits(one), logits(model))
    other = transformers.AutoModelForCausalLM.from_config(model.config)
    assert other.config._attn_implementation == kernel
    assert transformers.AutoConfig.from_pretrained(tmp_path).output_attentions == (
        kernel == "eager"
    )


def test_a_pickled_model_is_read_by_a_process_that_has_made_no_adapter(tmp_path):
    torch.save(adapted(), tmp_path / "model.pt")
    code = (
        "import sys, torch; model = torch.load(sys.argv[1], weights_only=False);"
        "print(model(torch.tensor([[2, 3]])).logits.shape)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "model.pt"],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert "[1, 2, 61]" in done.stdout, done.stderr


def frozen(model):
    return [name for name, value in model.named_parameters() if not value.requires_grad]


@pytest.mark.parametrize("change", ["resize", "head", "half", "overwritten", "assign", "untied"])
def test_what_trained_trains_again_whatever_has_replaced_it(change):
    model = decoder("llama", tie_word_embeddings=change == "untied")
    model.model.norm.weight.requires_grad_(False)
    with_adapter(model)
    if change == "resize":
        model.resize_token_embeddings(70)
    elif change == "head":
        model.lm_head = torch.nn.Linear(32, 61, bias=False).requires_grad_(False)
    elif change == "half":
        model.half()
    elif change == "overwritten":
        torch.__future__.set_overwrite_module_params_on_conversion(True)
        try:
            model.bfloat16()
        finally:
            torch.__future__.set_overwrite_module_params_on_conversion(False)
    elif change == "assign":
        model.load_state_dict({k: v.clone() for k, v in model.state_dict().items()}, assign=True)
    else:
        weight = model.lm_head.weight.detach().clone()
        model.lm_head.weight = torch.nn.Parameter(weight, requires_grad=False)
    adapters.remove(model.model)
    assert frozen(model) == ["model.norm.weight"]


def test_what_is_new_stays_as_its_maker_left_it():
    model = adapted()
    model.one = torch.nn.Linear(2, 2)
    model.two = torch.nn.Linear(2, 2).requires_grad_(False)
    adapters.remove(model)
    assert frozen(model) == ["two.weight", "two.bias"]


@pytest.mark.parametrize("kind", ["llama", "mistral", "gemma2", "gpt_neox", "gpt2"])
def test_a_padded_batch_generates_what_each_of_its_sequences_does(kind):
    model = adapted(kind)
    short = IDS[:1, :5]
    options = {"max_new_tokens": 6, "do_sample": False}
    alone = [model.generate(short, **options)[:, 5:], model.generate(IDS[1:], **options)[:, 12:]]
    mask = torch.ones_like(IDS)
    mask[0, :7] = 0
    batch = torch.cat([torch.cat([torch.zeros_like(IDS[:1, :7]), short], 1), IDS[1:]])
    together = model.generate(batch, attention_mask=mask, **options)[:, 12:]
    assert torch.equal(together, torch.cat(alone))


def checkpoint_holds_hooks():
    """Whether transformers checkpoints layers with their hooks, as it did up to 5.17."""
    from transformers.modeling_layers import GradientCheckpointingLayer

    return "__call__" in vars(GradientCheckpointingLayer)


@POSITIONS
@pytest.mark.parametrize("kind", KINDS)
def test_checkpointing_gives_the_gradients_or_says_why_not(kind, position):
    def build():
        return with_adapter(decoder(kind).double(), position=position)

    exact = gradients(build())
    model = build()
    model.gradient_checkpointing_enable({"use_reentrant": False})
    assert_all_close(gradients(model), exact)

    model = build()
    model.gradient_checkpointing_enable({"use_reentrant": True})
    model.enable_input_require_grads()
    parallel = kind in ("gpt_neox", "phi")
    outside = position == "after_mlp" or (position == "before_mlp" and parallel)
    if outside and not checkpoint_holds_hooks():  # the adapter acts where it has ended
        with pytest.raises(RuntimeError, match=r"edges would be lost.*use_reentrant=False"):
            gradients(model)
        assert logits(model.eval()).isfinite().all()
    else:
        assert_all_close(gradients(model), exact)


def test_reentrant_checkpointing_is_exact_where_edges_have_no_gradients():
    plain = adapted(position="after_mlp", edge_gradients=False)
    exact = gradients(plain)
    plain.gradient_checkpointing_enable({"use_reentrant": True})
    plain.enable_input_require_grads()
    assert_all_close(gradients(plain), exact)


def test_a_device_map(tmp_path):
    pytest.importorskip("accelerate")
    decoder("llama").save_pretrained(tmp_path)
    model = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, device_map={"": "cpu"})
    assert torch.equal(logits(with_adapter(model)), logits(adapted()))


@POSITIONS
@pytest.mark.parametrize("kind", ["llama", "gpt_neox"])
@pytest.mark.parametrize("where", ["memory", "disk"])
def test_an_offloaded_base(kind, position, where, tmp_path):
    """Its weights are fetched for each layer when it computes."""
    accelerate = pytest.importorskip("accelerate")
    here = torch.device("cpu")
    model = decoder(kind)
    base = logits(model)
    if where == "memory":
        accelerate.cpu_offload(model, execution_device=here)
    else:
        accelerate.disk_offload(model, tmp_path, execution_device=here)
    with_adapter(model, position=position)
    assert {parameter.device for parameter in adapters.parameters(model)} == {here}
    plain = adapted(kind, position=position)
    torch.testing.assert_close(logits(model), logits(plain))
    options = {"max_new_tokens": 4, "do_sample": False}
    assert torch.equal(model.generate(IDS, **options), plain.generate(IDS, **options))
    adapters.remove(model)
    torch.testing.assert_close(logits(model), base)


def test_a_base_without_weights_is_refused():
    config = decoder("llama").config
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(config)
    with pytest.raises(ValueError, match="on the meta device: load them before"):
        adapters.add(model)
    assert adapters.names(model) == []


def quantised(library, folder):
    """A quantised decoder of the library, or a skip where it is not installed."""
    if library == "torchao":
        pytest.importorskip("torchao")
        from torchao.quantization import Int8WeightOnlyConfig

        config = transformers.TorchAoConfig(Int8WeightOnlyConfig())
    elif library == "quanto":
        pytest.importorskip("optimum.quanto")
        config = transformers.QuantoConfig(weights="int8")
    else:
        pytest.importorskip("bitsandbytes")
        config = transformers.BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4")
    decoder("llama", hidden_size=64, intermediate_size=64).save_pretrained(folder)
    return transformers.AutoModelForCausalLM.from_pretrained(
        folder, quantization_config=config, device_map={"": "cpu"}, dtype=torch.float32
    ).eval()


@pytest.mark.parametrize("library", ["torchao", "quanto", "bitsandbytes"])
def test_a_quantised_base(library, tmp_path):
    pytest.importorskip("accelerate")
    model = quantised(library, tmp_path / "base")
    base = logits(model)
    with_adapter(model, scale=0.0)
    assert torch.equal(logits(model), base)
    optimizer = torch.optim.AdamW(adapters.parameters(model), 1e-2)
    losses = []
    for _ in range(4):
        optimizer.zero_grad()
        loss = model(input_ids=IDS, labels=IDS).loss
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0]
    options = {"max_new_tokens": 5, "do_sample": False}
    assert torch.equal(
        model.generate(IDS, **options), model.generate(IDS, use_cache=False, **options)
    )
    trained = logits(model)
    adapters.save(model, tmp_path / "adapter")
    adapters.remove(model)
    assert torch.equal(logits(model), base)
    adapters.load(model, tmp_path / "adapter")
    assert torch.equal(logits(model), trained)


def test_the_file_is_small_beside_smollm2(tmp_path):
    """Under a twentieth of the base in bfloat16, at the published proportions (g = D / 20)."""
    config = transformers.LlamaConfig(
        hidden_size=576,
        num_hidden_layers=30,
        num_attention_heads=9,
        num_key_value_heads=3,
        intermediate_size=1536,
        vocab_size=49152,
        tie_word_embeddings=True,
    )
    with torch.device("meta"):
        model = transformers.LlamaForCausalLM(config).bfloat16()
    model.to_empty(device="cpu").tie_weights()
    for parameter in model.parameters():
        torch.nn.init.zeros_(parameter)
    base = sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())
    assert 134e6 < base / 2 < 135e6
    adapters.add(model, SparseGINConfig())
    folder = adapters.save(model, tmp_path)
    size = sum(path.stat().st_size for path in folder.iterdir())
    assert size < 0.05 * base
