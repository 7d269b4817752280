"""Beside PEFT: which of its methods can be combined with an adapter, and whose files are whose."""

import pytest
import torch
from decoders import decoder

import gia.adapters as adapters
from gia.adapters import SparseGINConfig

transformers = pytest.importorskip("transformers")
peft = pytest.importorskip("peft")
IDS = torch.randint(2, 61, (2, 12), generator=torch.Generator().manual_seed(1))
CONFIG = SparseGINConfig.published(channels=4, scale=0.5)
ATTENTION = ["k_proj", "v_proj"]
METHODS = {
    "lora": lambda: peft.LoraConfig(r=2, target_modules="all-linear"),
    "dora": lambda: peft.LoraConfig(r=2, target_modules="all-linear", use_dora=True),
    "ia3": lambda: peft.IA3Config(target_modules=ATTENTION, feedforward_modules=[]),
    "head": lambda: peft.LoraConfig(target_modules=ATTENTION, modules_to_save=["lm_head"]),
    "prompt tuning": lambda: peft.PromptTuningConfig(num_virtual_tokens=3),
    "p tuning": lambda: peft.PromptEncoderConfig(num_virtual_tokens=3, encoder_hidden_size=8),
}


def tuned(config, model=None):
    config.task_type = "CAUSAL_LM"
    return peft.get_peft_model(decoder("llama") if model is None else model, config)


def lora():
    return tuned(peft.LoraConfig(r=2, target_modules=ATTENTION, init_lora_weights=False)).eval()


def logits(model):
    with torch.no_grad():
        return model(input_ids=IDS).logits


def adapted(model, name="default"):
    adapters.add(model, CONFIG, name)
    return model


@pytest.mark.parametrize("method", METHODS)
def test_methods_that_train_beside_an_adapter(method):
    model = adapted(tuned(METHODS[method]()))
    model(input_ids=IDS, labels=IDS).loss.backward()
    assert all(value.grad is not None for value in adapters.parameters(model))
    own = [name for name, value in model.named_parameters() if value.requires_grad]
    assert any("gia_adapters" not in name for name in own)
    assert model.eval().generate(input_ids=IDS, max_new_tokens=3, do_sample=False).size(1) == 15


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (lambda: peft.PrefixTuningConfig(num_virtual_tokens=3), "PREFIX_TUNING.*no token has sent"),
        (lambda: peft.AdaptionPromptConfig(adapter_len=2, adapter_layers=2), "ADAPTION_PROMPT"),
    ],
)
def test_methods_that_leave_no_room_are_refused(config, reason):
    model = tuned(config())
    with pytest.raises(ValueError, match=reason):
        adapters.add(model)
    assert adapters.names(model) == []
    assert logits(model).isfinite().all()


def test_prefix_tuning_on_an_adapter_is_named():
    model = tuned(peft.PrefixTuningConfig(num_virtual_tokens=3), adapted(decoder("llama")))
    with pytest.raises(ValueError, match=r"prefix tuning.* cannot be combined"):
        logits(model)


def test_lora_on_the_projections_of_an_adapter_is_refused():
    model = tuned(peft.LoraConfig(target_modules="all-linear"), adapted(decoder("llama")))
    with pytest.raises(RuntimeError, match=r"get_peft_model first, then gia\.adapters"):
        logits(model)


def test_lora_is_merged_under_an_adapter(tmp_path):
    model = adapted(lora())
    before = logits(model)
    merged = model.merge_and_unload()
    torch.testing.assert_close(logits(merged), before, rtol=1e-4, atol=1e-4)
    merged.save_pretrained(tmp_path)
    other = transformers.AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    adapters.load(other, tmp_path / "gia_adapters/default")
    assert torch.equal(logits(other), logits(merged))


def test_a_folder_of_pefts_is_not_overwritten_nor_read(tmp_path):
    model = adapted(lora())
    model.save_pretrained(tmp_path)
    before = (tmp_path / "adapter_config.json").read_text()
    with pytest.raises(ValueError, match=r"holds a LORA adapter.* save to .*gia_adapters.default"):
        adapters.save(model, tmp_path)
    with pytest.raises(ValueError, match=r"LORA adapter: load it with PEFT; .*gia_adapters"):
        adapters.load(model, tmp_path, "other")
    assert (tmp_path / "adapter_config.json").read_text() == before


def test_nothing_is_saved_where_ours_is(tmp_path):
    model = adapted(lora())
    adapters.save(model, tmp_path)
    for one in (model, model.get_base_model()):
        with pytest.raises(ValueError, match="holds an adapter of gia's"):
            one.save_pretrained(tmp_path)
    adapters.load(model, tmp_path, "other")


def test_ours_is_not_saved_where_a_model_is(tmp_path):
    """from_pretrained would take it for PEFT's."""
    model = adapted(decoder("llama"))
    model.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="holds a model"):
        adapters.save(model, tmp_path)
    with pytest.raises(FileNotFoundError, match="it has some of gia's in"):
        adapters.load(model, tmp_path, "other")


def test_an_adapter_comes_back_with_that_of_pefts(tmp_path):
    model = adapted(lora())
    model.save_pretrained(tmp_path)
    before = logits(model)
    with torch.no_grad():
        for value in model.parameters():
            if value.requires_grad:
                value.add_(0.1)
    assert not torch.allclose(logits(model), before)
    model.load_adapter(tmp_path, "another")  # beside the one in use: nothing is replaced
    assert not torch.allclose(logits(model), before)
    model.load_adapter(tmp_path, "default")
    assert torch.equal(logits(model), before)


def test_a_folder_without_the_adapter_or_with_another_is_told(tmp_path):
    model = lora()
    model.save_pretrained(tmp_path / "before")
    adapted(model).save_pretrained(tmp_path / "with")
    with pytest.warns(UserWarning, match="holds no adapter 'default' of gia's"):
        model.load_adapter(tmp_path / "before", "default")
    adapters.remove(model)
    assert "load_adapter" not in vars(model)
    adapters.add(model, SparseGINConfig(channels=4, top_k=3))
    with pytest.raises(ValueError, match=r"scale=0\.5 instead of 0\.0|top_k=None instead of 3"):
        model.load_adapter(tmp_path / "with", "default")


def test_continuous_batching_is_refused_while_an_adapter_is_in_use():
    model = adapted(decoder("llama"))
    if not hasattr(model, "init_continuous_batching"):
        pytest.skip("this version of transformers has no continuous batching")
    with pytest.raises(ValueError, match=r"use model\.generate"):
        model.generate_batch(inputs=[[3, 4, 5]])
