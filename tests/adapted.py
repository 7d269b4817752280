"""Small decoders with adapters of every kind, which say something."""

import torch
from decoders import decoder
from torch import nn

import gia.adapters as adapters
from gia.adapters import GraphLoRAConfig, SparseGINConfig

# What an adapter of each kind is like where a test says nothing else.
SETTINGS = {
    "sparse_gin": (SparseGINConfig.published, {"channels": 4, "scale": 0.5}),
    "graph_lora": (GraphLoRAConfig, {"r": 2}),
}


# Of a short training by Hugging Face's Trainer, or one that is like it.
TRAINER = {
    "max_steps": 6,
    "save_steps": 2,
    "logging_steps": 1,
    "per_device_train_batch_size": 2,
    "learning_rate": 1e-2,
    "report_to": "none",
    "use_cpu": True,
    "disable_tqdm": True,
}


def losses(trainer):
    """What a Trainer has logged, by steps."""
    history = trainer.state.log_history
    return {entry["step"]: entry["loss"] for entry in history if "loss" in entry}


def make_config(adapter, **settings):
    kind, own = SETTINGS[adapter]
    return kind(**own | settings)


def stir(model: nn.Module, name: str = "default") -> None:
    """Give a new Graph-LoRA adapter, which starts at 0, numbers of its own."""
    generator = torch.Generator().manual_seed(3)
    for parameter in adapters.parameters(model, name):
        drawn = torch.randn(parameter.shape, generator=generator)
        parameter.data.copy_(0.3 * drawn)


def adapted(kind, adapter="sparse_gin", name="default", **settings):
    """A decoder in double precision whose adapter says something."""
    model = decoder(kind).double()
    adapters.add(model, make_config(adapter, **settings), name)
    if adapter == "graph_lora":
        stir(model, name)
    return model


def without_dropout(model: nn.Module) -> nn.Module:
    """The same model, whose training draws nothing."""
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        if hasattr(module, "attention_dropout"):
            module.attention_dropout = 0.0
    return model


@torch.no_grad()
def logits_with_cache(
    model: nn.Module, ids: torch.Tensor, cache: str = "past_key_values"
) -> torch.Tensor:
    """Logits of 12 tokens that come in several steps, some of them single ones."""
    known, found = None, []
    for start, stop in ((0, 4), (4, 5), (5, 9), (9, 10), (10, 11), (11, 12)):
        out = model(input_ids=ids[:, start:stop], **{cache: known}, use_cache=True)
        known = out[cache]
        found.append(out.logits)
    return torch.cat(found, 1)
