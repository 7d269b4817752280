"""A Hugging Face Trainer keeps adapters with what it trains beside them."""

import shutil
from types import SimpleNamespace

import pytest
import torch
from adapted import TRAINER, losses
from decoders import decoder
from torch import nn

import gia.adapters as adapters
from gia.adapters import GraphLoRAConfig, SparseGINConfig

transformers = pytest.importorskip("transformers")
peft = pytest.importorskip("peft")
pytest.importorskip("accelerate")
IDS = torch.randint(2, 61, (16, 12), generator=torch.Generator().manual_seed(1))
DATA = [{"input_ids": ids, "labels": ids} for ids in IDS]
KINDS = pytest.mark.parametrize(
    "kind", ["plain", "lora", "named lora", "two adapters", "graph lora"]
)


def build(kind="plain", seed=3, **settings):
    """A model with an adapter, also beside LoRA; what is new on it is drawn by the seed."""
    model = decoder("llama")
    torch.manual_seed(seed)
    if kind == "graph lora":
        adapters.add(model, GraphLoRAConfig(r=2, lora_dropout=0.1))
        return model
    if "lora" in kind:
        config = peft.LoraConfig(r=2, target_modules=["q_proj", "v_proj"], lora_dropout=0.1)
        name = "mine" if kind == "named lora" else "default"
        model = peft.get_peft_model(model, config, adapter_name=name)
    options = {"channels": 4, "scale": 0.5, "dropout": 0.1} | settings
    adapters.add(model, SparseGINConfig.published(**options))
    if kind == "two adapters":
        adapters.add(model, SparseGINConfig.published(**options, layers=[1], conv="gcn"), "second")
        adapters.set(model, ["default", "second"])
    return model


def trainer(model, folder, **settings):
    options = {**TRAINER, "lr_scheduler_type": "constant", "seed": 0}
    arguments = transformers.TrainingArguments(str(folder), **options | settings)
    return transformers.Trainer(model, arguments, train_dataset=DATA, eval_dataset=DATA[:4])


def assert_same(model, other):
    ours, theirs = model.state_dict(), other.state_dict()
    assert ours.keys() == theirs.keys()
    for key, value in ours.items():
        assert torch.equal(value, theirs[key]), key


@KINDS
def test_resumed_equals_never_interrupted(kind, tmp_path):
    """From a folder that has moved since, with an adapter that starts elsewhere."""
    whole = trainer(build(kind), tmp_path / "whole")
    whole.train()
    shutil.move(tmp_path / "whole", tmp_path / "moved")
    resumed = trainer(build(kind, seed=5), tmp_path / "resumed")
    resumed.train(resume_from_checkpoint=str(tmp_path / "moved/checkpoint-2"))
    assert losses(resumed) == losses(whole)
    assert_same(resumed.model, whole.model)


@pytest.mark.parametrize("kind", ["plain", "lora", "two adapters"])
def test_the_best_model_is_of_one_step(kind, tmp_path):
    """The same as of a run that ended there."""
    evaluated = {"eval_strategy": "steps", "eval_steps": 2}
    worst = {"metric_for_best_model": "loss", "greater_is_better": True}  # it comes early
    options = {"load_best_model_at_end": True, "save_total_limit": 1} | worst | evaluated
    run = trainer(build(kind), tmp_path / "run", **options)
    run.train()
    best = run.state.best_global_step
    assert best < 6
    ended = trainer(build(kind), tmp_path / "ended", max_steps=best, **evaluated)
    ended.train()
    assert_same(run.model, ended.model)
    assert [path.name for path in (tmp_path / "run").iterdir()] == [f"checkpoint-{best}"]
    for parameter in adapters.parameters(run.model):
        assert parameter.requires_grad


@KINDS
def test_what_a_trainer_saves_has_the_adapters(kind, tmp_path):
    run = trainer(build(kind), tmp_path / "run", save_total_limit=2)
    run.train()
    run.save_model(str(tmp_path / "final"))
    checkpoints = sorted(path.name for path in (tmp_path / "run").iterdir())
    assert checkpoints == ["checkpoint-4", "checkpoint-6"]
    for folder in (tmp_path / "run/checkpoint-6", tmp_path / "final"):
        if kind in ("lora", "named lora"):
            model = decoder("llama")
            name = {"lora": "default", "named lora": "mine"}[kind]
            there = folder if kind == "lora" else folder / name
            model = peft.PeftModel.from_pretrained(model, there, adapter_name=name)
        else:
            model = transformers.AutoModelForCausalLM.from_pretrained(folder)
        for name in adapters.names(run.model):
            adapters.load(model, folder / "gia_adapters" / name, name)
        assert_same(model, run.model)


def test_checkpointing_through_a_trainer_changes_nothing(tmp_path):
    plain = trainer(build("lora"), tmp_path / "plain", max_steps=2)
    plain.train()
    saving = trainer(build("lora"), tmp_path / "saving", max_steps=2, gradient_checkpointing=True)
    saving.train()
    for step, loss in losses(plain).items():
        assert losses(saving)[step] == pytest.approx(loss, rel=1e-4)


class Int8Linear(nn.Module):
    """As quantising libraries have it: whole numbers and a scale a row, nothing to train."""

    def __init__(self, linear: nn.Linear):
        super().__init__()
        scale = linear.weight.detach().abs().amax(1, keepdim=True) / 127
        self.register_buffer("packed", (linear.weight.detach() / scale).round().to(torch.int8))
        self.register_buffer("scale", scale)

    def forward(self, x):
        return nn.functional.linear(x, self.packed.to(x.dtype) * self.scale.to(x.dtype))


def quantised():
    model = decoder("llama")
    for layer in model.model.layers:
        for part in (layer.self_attn, layer.mlp):
            for name, child in list(part.named_children()):
                if isinstance(child, nn.Linear):
                    setattr(part, name, Int8Linear(child))
    return model


def test_a_base_of_quantised_layers_is_trained_and_resumed(tmp_path):
    def build_quantised():
        model = quantised()
        torch.manual_seed(3)
        adapters.add(model, SparseGINConfig.published(channels=4, scale=0.5))
        return model

    whole = trainer(build_quantised(), tmp_path / "whole", max_steps=4, learning_rate=3e-2)
    assert {value.dtype for value in adapters.parameters(whole.model)} == {torch.float32}
    before = whole.evaluate()["eval_loss"]
    whole.train()
    assert whole.evaluate()["eval_loss"] < before
    resumed = trainer(build_quantised(), tmp_path / "resumed", max_steps=4, learning_rate=3e-2)
    resumed.train(resume_from_checkpoint=str(tmp_path / "whole/checkpoint-2"))
    assert_same(resumed.model, whole.model)
    other = quantised()
    adapters.load(other, tmp_path / "whole/checkpoint-4/gia_adapters/default")
    assert_same(other, whole.model)


def test_a_base_that_says_it_is_quantised_needs_lora_beside_the_adapter(tmp_path):
    """A Trainer wants an adapter of PEFT's there, and knows no others."""
    model = quantised()
    model.is_quantized = True
    model.hf_quantizer = SimpleNamespace(is_trainable=True)
    adapters.add(model, SparseGINConfig.published(channels=4, scale=0.5))
    with pytest.raises(ValueError, match="attach trainable adapters"):
        trainer(model, tmp_path / "alone")
    adapters.remove(model)

    model = peft.get_peft_model(model, peft.LoraConfig(r=2, target_modules=["lm_head"]))
    adapters.add(model, SparseGINConfig.published(channels=4, scale=0.5))
    before = [value.clone() for value in adapters.parameters(model)]
    run = trainer(model, tmp_path / "run", max_steps=2)
    run.train()
    after = adapters.parameters(model)
    assert not any(torch.equal(one, other) for one, other in zip(before, after, strict=True))
    assert (tmp_path / "run/checkpoint-2/gia_adapters/default").is_dir()
