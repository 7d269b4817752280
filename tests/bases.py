"""A small pretrained model in a folder: a Llama that knows nothing."""

import json
from pathlib import Path

import pytest
import torch

CHAT = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
TEXT = "What is 12 and 7? It is 19. The sum of three numbers is small, large or even. "


def tiny_base(folder: Path, *, context: int = 64, eos: str | None = "<|end|>", chat=None) -> Path:
    """Write a model and its tokenizer of bytes and a few merges."""
    transformers = pytest.importorskip("transformers")
    tokenizers = pytest.importorskip("tokenizers")
    inner = tokenizers.Tokenizer(tokenizers.models.BPE())
    inner.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<|end|>", "<|user|>", "<|assistant|>", "<|system|>"],
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    inner.train_from_iterator([TEXT * 20], trainer)
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=inner, eos_token=eos)
    tokenizer.chat_template = chat
    tokenizer.save_pretrained(folder)
    config = transformers.LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=context,
        eos_token_id=None,
        bos_token_id=None,
        tie_word_embeddings=True,
    )
    torch.manual_seed(0)
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def sums(path: Path, number: int = 120) -> Path:
    """Prompts with answers, ``question`` and ``answer`` a line."""
    lines = [
        {"question": f"What is {i} and {i % 7}?", "answer": f"It is {i + i % 7}."}
        for i in range(number)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def base_and_sums(folder: Path) -> Path:
    """A folder with such a model, ``base``, and such prompts, ``sums.jsonl``."""
    tiny_base(folder / "base")
    sums(folder / "sums.jsonl")
    return folder


def of_sums(place: Path) -> list[str]:
    """Settings of a small run on what :func:`base_and_sums` has made, without an adapter."""
    return [
        "data=instruct", f"data.path={place / 'sums.jsonl'}", f"model.base={place / 'base'}",
        "data.prompt_field=question", "data.max_length=64", "data.batch_size=8",
        "data.tokens_per_batch=null", "callbacks.progress_bar=null", "logger.tensorboard=null",
        "name=test",
    ]  # fmt: skip


def as_gguf(folder: Path, path: Path) -> Path:
    """Write a Llama of :func:`tiny_base` as one file of llama.cpp's format, in single precision."""
    gguf = pytest.importorskip("gguf", reason="GGUF files need gguf: gia[llm]")
    transformers = pytest.importorskip("transformers")
    model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    config, tokenizer = model.config, json.loads((folder / "tokenizer.json").read_text())
    vocab = tokenizer["model"]["vocab"]
    special = {token["content"] for token in tokenizer["added_tokens"]}
    tokens = sorted(vocab, key=vocab.get)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_types([3 if token in special else 1 for token in tokens])  # control, normal
    writer.add_token_merges([" ".join(merge) for merge in tokenizer["model"]["merges"]])
    writer.add_eos_token_id(vocab["<|end|>"])
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config.num_hidden_layers)
    for name, value in model.state_dict().items():
        if name == "lm_head.weight":  # tied to the embeddings
            continue
        x, part = value.numpy(), name.split(".")[-2]
        if part in heads:  # llama.cpp turns neighbours of a head, and not its halves
            x = x.reshape(heads[part], 2, -1, x.shape[1]).swapaxes(1, 2).reshape(x.shape)
        writer.add_tensor(names.get_name(name, try_suffixes=(".weight",)), x)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
