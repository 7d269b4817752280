"""The language models that are compared: a base with LoRA, Sparse-GIN, Graph-LoRA, and alone."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor, nn

import gia.adapters
from gia.adapters import GraphLoRAConfig, SparseGINConfig
from gia.adapters.decoder_head import losses_of_tokens

# A small Llama, as in TinyStories' 15 million: what is measured where no model is given.
SMALL = {
    "vocab_size": 32_000,
    "hidden_size": 288,
    "intermediate_size": 768,
    "num_hidden_layers": 6,
    "num_attention_heads": 6,
    "tie_word_embeddings": True,
}
SIDES = ("lora", "sparse_gin", "graph_lora")
# With the model's own loss, and as ``gia train`` trains them.
IN_GIA = "gia_"
STEPS = (*SIDES, *(IN_GIA + side for side in SIDES))


@dataclass(frozen=True)
class Case:
    """A training step.

    Attributes:
        side (str): One of :data:`STEPS`, or ``base``.
        model (str, optional): A folder or name of a Hugging Face model; a small Llama with random
            weights if left out.
        text (str, optional): A file with text; random tokens if left out.
        rank (int): LoRA's and Graph-LoRA's; Sparse-GIN gets as many parameters.
        scale (float): Sparse-GIN's factor, above 0, so that all is computed.
        batch, length (int): Tokens of a step.
    """

    side: str
    model: str | None
    text: str | None
    rank: int
    scale: float
    batch: int
    length: int


def training(case: Case) -> Callable[[], float]:
    """Build a model, and return the call that makes a step: forward, loss, backward, optimizer."""
    model = adapted(case).train()
    ids = tokens(case.model, case.text, case.batch, case.length)
    optimizer = torch.optim.AdamW(trained(model), lr=1e-4)

    target = ids[:, 1:].flatten()
    place = torch.arange(ids.numel()).view(ids.shape)[:, :-1].flatten()

    def loss_of(model: nn.Module) -> Tensor:
        if not case.side.startswith(IN_GIA):
            return model(input_ids=ids, labels=ids, use_cache=False).loss
        decoder = model.get_base_model() if hasattr(model, "get_base_model") else model
        return losses_of_tokens(decoder, {"input_ids": ids}, place, target).mean()

    def step() -> float:
        optimizer.zero_grad()
        loss = loss_of(model)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def adapted(case: Case) -> nn.Module:
    """The model of a case, its adapter with it."""
    model, side = base(case.model, case.length), case.side.removeprefix(IN_GIA)
    if side == "lora":
        return with_lora(model, case.rank)
    if side == "graph_lora":
        gia.adapters.add(model, GraphLoRAConfig(r=case.rank))
        for parameter in gia.adapters.parameters(model):  # not at 0, so that all is computed
            torch.nn.init.normal_(parameter, std=0.02)
    if side == "sparse_gin":
        wanted = count(with_lora(base(case.model, case.length), case.rank))
        channels = matching(model, wanted)
        gia.adapters.add(model, SparseGINConfig(channels=channels, scale=case.scale))
    return model


def base(name: str | None, length: int) -> nn.Module:
    """The frozen model, with room for so many tokens."""
    from transformers import AutoConfig, AutoModelForCausalLM, LlamaConfig

    if name is None:
        torch.manual_seed(0)
        return AutoModelForCausalLM.from_config(
            LlamaConfig(**SMALL, max_position_embeddings=length)
        )
    config = AutoConfig.from_pretrained(name)
    config.max_position_embeddings = max(config.max_position_embeddings, length)
    return AutoModelForCausalLM.from_pretrained(name, config=config, dtype=torch.float32)


def with_lora(model: nn.Module, rank: int) -> nn.Module:
    """PEFT's LoRA on all linear layers."""
    import peft

    config = peft.LoraConfig(r=rank, target_modules="all-linear", task_type="CAUSAL_LM")
    return peft.get_peft_model(model, config)


def matching(model: nn.Module, wanted: int) -> int:
    """The channels with which Sparse-GIN has the closest number of parameters."""

    def distance(channels: int) -> int:
        with torch.device("meta"):
            layer = gia.adapters.SparseGIN(
                SparseGINConfig(channels=channels),
                width=model.config.hidden_size,
                heads=model.config.num_attention_heads,
            )
        layers = model.config.num_hidden_layers
        return abs(layers * sum(p.numel() for p in layer.parameters()) - wanted)

    return min(range(1, model.config.hidden_size), key=distance)


def trained(model: nn.Module) -> list[nn.Parameter]:
    """What an optimizer is given."""
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def count(model: nn.Module) -> int:
    """How many numbers are trained."""
    return sum(parameter.numel() for parameter in trained(model))


def tokens(model: str | None, text: str | None, batch: int, length: int) -> Tensor:
    """Tokens to train on, ``[batch, length]``."""
    if text is None:
        return torch.randint(3, 1000, (batch, length), generator=torch.Generator().manual_seed(0))
    ids = _tokens_of(model, text)
    if len(ids) < batch * length:
        raise ValueError(f"{text} has {len(ids)} tokens, but {batch} x {length} are asked for")
    return torch.tensor(ids[: batch * length]).view(batch, length)


@cache
def _tokens_of(model: str | None, text: str) -> list[int]:
    from transformers import AutoTokenizer

    if model is None:
        raise ValueError("--text needs --model, whose tokenizer reads it")
    with open(text, encoding="utf-8") as file:
        return AutoTokenizer.from_pretrained(model)(file.read(200_000))["input_ids"]
