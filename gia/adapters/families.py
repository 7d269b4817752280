"""Where the layers of an architecture are, and where an adapter may act on them."""

from dataclasses import dataclass, replace

from torch import nn

PARALLEL = "block output"
NAME = "gia_adapters"  # of the module with our adapters in a decoder layer


@dataclass(frozen=True)
class Family:
    """An architecture of decoders.

    Attributes:
        layers (str): Its list of decoder layers, under the base model.
        attention (str): The attention of such a layer.
        residual (str): What is added to the layer's input, at ``before_mlp``: the attention, or
            the norm after it where the architecture has one; :data:`PARALLEL` where attention and
            MLP both read the layer's input, so that there is nothing between them.
        entry (str): What reads the layer's input first. (The layer's own hooks are not run again
            where gradient checkpointing runs a layer again.)
        mlp (str): The MLP.
        mlp_residual (str): What is added to the residual stream after the MLP: the MLP, or what the
            architecture has after it.
        output (str): The output projection of the attention: what its linear layers compute
            before it, attention is made of.
    """

    layers: str
    attention: str
    residual: str
    entry: str = "input_layernorm"
    mlp: str = "mlp"
    mlp_residual: str = "mlp"
    output: str = "o_proj"


_PRE_NORM = Family("layers", "self_attn", "self_attn")
_AFTER = {"residual": "post_attention_layernorm", "mlp_residual": "post_feedforward_layernorm"}
_BOTH_NORMS = Family("layers", "self_attn", **_AFTER)
_POST_NORM = Family("layers", "self_attn", entry="self_attn", **_AFTER)
FAMILIES: dict[str, Family] = {
    **dict.fromkeys(
        (
            "llama", "mistral", "mixtral", "ministral", "qwen2", "qwen2_moe", "qwen3", "qwen3_moe",
            "gemma", "smollm3", "starcoder2", "olmo", "helium",
        ),
        _PRE_NORM,
    ),
    **dict.fromkeys(("gemma2", "gemma3_text"), _BOTH_NORMS),
    **dict.fromkeys(("olmo2", "olmo3"), _POST_NORM),
    "phi3": Family("layers", "self_attn", "resid_attn_dropout", mlp_residual="resid_mlp_dropout"),
    "gpt_neox": Family(
        "layers",
        "attention",
        "post_attention_dropout",
        mlp_residual="post_mlp_dropout",
        output="dense",
    ),
    "gpt2": Family("h", "attn", "attn", "ln_1", output="c_proj"),
    "phi": Family("layers", "self_attn", PARALLEL, output="dense"),
}  # fmt: skip
"""Where layers are, by the ``model_type`` of transformers' configurations."""
# What cannot have an adapter, and why; matched at the start of a model type.
REFUSED = {
    "mamba": "a state-space model has no attention",
    "falcon_mamba": "a state-space model has no attention",
    "rwkv": "it has no attention weights",
    "recurrent_gemma": "most of its layers have no attention",
    "jamba": "most of its layers have no attention",
    "deepseek_v": "its attention is latent: keys are made from a compressed cache",
    "bert": "an encoder's attention is not causal",
    "roberta": "an encoder's attention is not causal",
    "distilbert": "an encoder's attention is not causal",
    "electra": "an encoder's attention is not causal",
    "modernbert": "an encoder's attention is not causal",
    "t5": "encoder-decoder models are not supported",
    "bart": "encoder-decoder models are not supported",
    "minimax": "most of its layers have linear attention",
    "qwen3_next": "most of its layers have linear attention",
    "lfm2": "most of its layers are convolutions",
}
# The same of PEFT's methods; all others can be combined with an adapter.
_CACHED = "it puts keys into the cache that no token has sent"
REFUSED_METHODS = {
    "PREFIX_TUNING": _CACHED,
    "CARTRIDGE": _CACHED,
    "ADAPTION_PROMPT": "it puts a module of its own in the place of attention",
}


def check_methods(model: nn.Module) -> None:
    """Whether what PEFT has done to a model leaves room for an adapter.

    Raises:
        ValueError: If it does not, with the reason.
    """
    for config in (getattr(model, "peft_config", None) or {}).values():
        method = getattr(config.peft_type, "value", config.peft_type)
        if method in REFUSED_METHODS:
            raise ValueError(
                f"a model with PEFT's {method} cannot have a Sparse-GIN adapter: "
                f"{REFUSED_METHODS[method]}; LoRA, DoRA, IA3 and prompt tuning can be combined "
                "with one"
            )


def family_of(model: nn.Module) -> Family:
    """The family of a Hugging Face model.

    Raises:
        ValueError: If there is none, with the reason.
    """
    config = getattr(model, "config", None)
    kind = getattr(config, "model_type", None)
    if kind is None:
        raise ValueError(
            f"adapters are added to a Hugging Face decoder, got {type(model).__name__}"
        )
    reason = next((why for start, why in REFUSED.items() if kind.startswith(start)), None)
    if reason is None and getattr(config, "is_encoder_decoder", False):
        reason = "encoder-decoder models are not supported"
    if reason is None and getattr(config, "add_cross_attention", False):
        reason = "it has cross-attention"
    if reason is None and getattr(config, "use_bidirectional_attention", False):
        reason = "its attention is not causal (use_bidirectional_attention)"
    if reason is not None:
        raise ValueError(f"{kind} cannot have a Sparse-GIN adapter: {reason}")
    if kind not in FAMILIES:
        raise ValueError(
            f"the architecture {kind} is not known: known are {', '.join(sorted(FAMILIES))}; "
            f"gia.adapters.FAMILIES[{kind!r}] = Family(...) says where its layers are"
        )
    family = FAMILIES[kind]
    if kind == "gpt_neox" and config.use_parallel_residual:
        return replace(family, residual=PARALLEL)
    return family
