"""All kinds of tokenizers, by the names under which a checkpoint keeps them."""

from typing import Any

from gia.data.bpe_tokenizer import BPETokenizer
from gia.data.pretrained_tokenizer import PretrainedTokenizer
from gia.data.tokenizer import ByteTokenizer, CharTokenizer, Tokenizer

KINDS: dict[str, type[Tokenizer]] = {
    "characters": CharTokenizer,
    "bytes": ByteTokenizer,
    "bpe": BPETokenizer,
    "pretrained": PretrainedTokenizer,
}


def read_tokenizer(config: dict[str, Any]) -> Tokenizer:
    """The tokenizer that its ``to_config`` described.

    Args:
        config: plain values.

    Raises:
        ValueError: if ``config["kind"]`` names no tokenizer, or a pretrained one has changed.
        OSError: if a pretrained one is no longer where it was.
    """
    arguments = dict(config)
    kind = arguments.pop("kind", None)
    if kind not in KINDS:
        raise ValueError(f"tokenizer kind must be one of {sorted(KINDS)}, got {kind!r}")
    return KINDS[kind](**arguments)
