"""Small decoders of the families that adapters know, with random weights, and a real one."""

from pathlib import Path

import pytest
import torch
from torch import nn

COMMON = {
    "vocab_size": 61,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
    "bos_token_id": 1,
    "eos_token_id": None,
    "pad_token_id": 0,
}
WIDE = {"intermediate_size": 32}
GROUPED = WIDE | {"num_key_value_heads": 2}
WINDOW = {"sliding_window": 5}
KINDS = {
    "llama": ("LlamaConfig", GROUPED),
    "qwen3": ("Qwen3Config", GROUPED | {"head_dim": 8}),
    "mistral": ("MistralConfig", GROUPED | WINDOW),
    "gemma2": ("Gemma2Config", GROUPED | WINDOW | {"head_dim": 8, "query_pre_attn_scalar": 8}),
    "gemma3": ("Gemma3TextConfig", GROUPED | WINDOW | {"head_dim": 8, "query_pre_attn_scalar": 8}),
    "gpt_neox": ("GPTNeoXConfig", WIDE),
    "gpt_neox_serial": ("GPTNeoXConfig", WIDE | {"use_parallel_residual": False}),
    "gpt2": ("GPT2Config", {}),
    "phi": ("PhiConfig", WIDE),
    "phi3": ("Phi3Config", GROUPED),
    "olmo2": ("Olmo2Config", GROUPED),
}
EXPERTS = GROUPED | {"moe_intermediate_size": 16}
OTHERS = {
    "qwen2": ("Qwen2Config", GROUPED),
    "qwen2_moe": ("Qwen2MoeConfig", EXPERTS | {"shared_expert_intermediate_size": 16}),
    "qwen3_moe": (
        "Qwen3MoeConfig",
        EXPERTS | {"head_dim": 8, "num_experts": 4, "num_experts_per_tok": 2},
    ),
    "mixtral": ("MixtralConfig", GROUPED | {"num_local_experts": 4}),
    "ministral": ("MinistralConfig", GROUPED | WINDOW | {"head_dim": 8}),
    "gemma": ("GemmaConfig", GROUPED | {"head_dim": 8}),
    "smollm3": ("SmolLM3Config", GROUPED),
    "starcoder2": ("Starcoder2Config", GROUPED),
    "olmo": ("OlmoConfig", GROUPED),
    "olmo3": ("Olmo3Config", GROUPED | WINDOW),
    "helium": ("HeliumConfig", GROUPED | {"head_dim": 8}),
}
REAL = "stories260K"  # trained, with grouped queries
MODELS = Path(__file__).parent.parent.parent / "shared" / "models"


def decoder(kind: str, seed: int = 0, **settings: object) -> nn.Module:
    """A small decoder in eval mode: ``decoder("llama")``."""
    import transformers

    if kind == REAL:
        model = pretrained(kind, **settings)
        torch.manual_seed(seed)  # what is added to it then starts the same
        return model
    name, own = (KINDS | OTHERS)[kind]
    config = getattr(transformers, name)(**COMMON | own | settings)
    torch.manual_seed(seed)
    model = transformers.AutoModelForCausalLM.from_config(config)
    with torch.no_grad():  # as they start, attention is nearly even: of trained models it is not
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(8 if parameter.std() < 0.1 else 1)
    return model.eval()


def pretrained(name: str, **settings: object) -> nn.Module:
    """A trained model out of the folder beside the checkout, in single precision."""
    import transformers

    if not (MODELS / name).is_dir():
        pytest.skip(f"the model {name} is not beside this checkout")
    return transformers.AutoModelForCausalLM.from_pretrained(
        MODELS / name, dtype=torch.float32, **settings
    ).eval()
