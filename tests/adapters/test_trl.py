"""TRL's SFTTrainer trains adapters, and keeps them."""

import shutil

import pytest
import torch
from adapted import TRAINER, losses
from bases import CHAT, sums, tiny_base

import gia.adapters as adapters
from gia.adapters import GraphLoRAConfig, SparseGINConfig

trl = pytest.importorskip("trl", reason="TRL is not installed")
datasets = pytest.importorskip("datasets")
transformers = pytest.importorskip("transformers")
peft = pytest.importorskip("peft")
KINDS = pytest.mark.parametrize("kind", ["graph lora", "sparse gin beside lora"])


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tiny_base(tmp_path_factory.mktemp("base"), chat=CHAT)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    file = sums(tmp_path_factory.mktemp("data") / "sums.jsonl", 24)
    read = datasets.Dataset.from_json(str(file), cache_dir=str(file.parent))
    return read.rename_columns({"question": "prompt", "answer": "completion"})


def trainer(kind, base, data, folder, seed=3, **settings):
    model = transformers.AutoModelForCausalLM.from_pretrained(base)
    torch.manual_seed(seed)
    if kind == "graph lora":
        adapters.add(model, GraphLoRAConfig(r=2, lora_dropout=0.1))
    else:
        lora = peft.LoraConfig(r=2, target_modules=["q_proj"], lora_dropout=0.1)
        model = peft.get_peft_model(model, lora)
        adapters.add(model, SparseGINConfig(channels=4, dropout=0.1))
    options = {**TRAINER, "bf16": False, "max_length": 64, "gradient_checkpointing": False}
    return trl.SFTTrainer(
        model,
        trl.SFTConfig(str(folder), **options | settings),
        train_dataset=data,
        processing_class=transformers.AutoTokenizer.from_pretrained(base),
    )


@KINDS
def test_an_adapter_is_trained_kept_and_resumed(kind, base, data, tmp_path):
    whole = trainer(kind, base, data, tmp_path / "whole")
    before = [value.detach().clone() for value in adapters.parameters(whole.model)]
    whole.train()
    after = adapters.parameters(whole.model)
    assert any(not torch.equal(a, b) for a, b in zip(before, after, strict=True))
    shutil.move(tmp_path / "whole", tmp_path / "moved")
    resumed = trainer(kind, base, data, tmp_path / "resumed", seed=5)
    resumed.train(resume_from_checkpoint=str(tmp_path / "moved" / "checkpoint-2"))
    assert losses(resumed) == losses(whole)
    for key, value in whole.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[key]), key
    # What was saved computes the same on a new base.
    folder = tmp_path / "moved" / "checkpoint-6"
    model = transformers.AutoModelForCausalLM.from_pretrained(base)
    if kind != "graph lora":
        model = peft.PeftModel.from_pretrained(model, folder)
    adapters.load(model, folder / "gia_adapters" / "default")
    ids = torch.tensor([[5, 9, 2, 40, 7]])
    with torch.no_grad():
        found, expected = (one.eval()(ids).logits for one in (model, whole.model))
    assert torch.equal(found, expected)


def test_gradient_checkpointing_reaches_the_adapter(base, data, tmp_path):
    """As TRL has it by default: the same losses."""
    plain = trainer("graph lora", base, data, tmp_path / "plain", save_strategy="no")
    plain.train()
    options = {"gradient_checkpointing": True, "save_strategy": "no"}
    saving = trainer("graph lora", base, data, tmp_path / "saving", **options)
    saving.train()
    assert losses(saving) == pytest.approx(losses(plain), rel=1e-4)
