"""Byte-pair encoding that is learned from the texts at hand."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from gia.data.optional import require
from gia.data.tokenizer import SPECIALS, Tokenizer, in_parts

BYTES = 256


class BPETokenizer(Tokenizer):
    """Byte-pair encoding: bytes, and the pairs that are frequent in the texts it was trained on.

    By `"Neural Machine Translation of Rare Words with Subword Units"
    <https://arxiv.org/abs/1508.07909>`_, on bytes, so that nothing is unknown. A dataset trains it
    on its own texts, those of all parts of the split; a checkpoint holds it.

    Args:
        vocab_size: the most tokens, specials and single bytes among them.
        trained: what was learned, as :meth:`to_config` keeps it; None before the training.

    Raises:
        ImportError: if the library tokenizers is missing.
        ValueError: if the vocabulary is too small for all bytes.
    """

    def __init__(self, vocab_size: int = 2000, trained: str | None = None) -> None:
        least = BYTES + len(SPECIALS)
        if vocab_size < least:
            raise ValueError(
                f"tokenizer.vocab_size must be at least {least}, for all bytes and "
                f"{' '.join(SPECIALS)}, got {vocab_size}"
            )
        self.wanted, self.trained, self.extra_tokens = vocab_size, trained, ()
        self._tokenizer = None
        if trained is not None:
            text = zlib.decompress(base64.b64decode(trained)).decode()
            self._tokenizer = _library().Tokenizer.from_str(text)
            self._tokenizer.encode_special_tokens = True  # <eos> in a text is five letters

    def trained_on(self, texts: Iterable[str]) -> BPETokenizer:
        if self.trained is not None:
            return self
        library = _library()
        tokenizer = library.Tokenizer(library.models.BPE())
        tokenizer.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = library.decoders.ByteLevel()
        trainer = library.trainers.BpeTrainer(
            vocab_size=self.wanted,
            special_tokens=list(SPECIALS),
            initial_alphabet=library.pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        tokenizer.train_from_iterator(texts, trainer)
        # Packed, as texts may have what a configuration takes for a reference.
        packed = base64.b64encode(zlib.compress(tokenizer.to_str().encode(), 9)).decode()
        return BPETokenizer(self.wanted, packed)

    @cached_property
    def symbols(self) -> list[str]:
        return [self._inner.id_to_token(token) for token in range(self._inner.get_vocab_size())]

    def token_id(self, symbol: str) -> int:
        token = self._inner.token_to_id(symbol)
        if token is None:
            raise ValueError(f"{symbol!r} is none of the {self.vocab_size:,} tokens")
        return token

    def encode(self, text: str) -> Tensor:
        return torch.tensor(self._inner.encode(text).ids, dtype=torch.long)

    def encode_parts(self, parts: Sequence[str]) -> list[Tensor]:
        read = self._inner.encode("".join(parts))
        return in_parts(read.ids, read.offsets, parts)

    def decode(self, ids: Tensor | Iterable[int], specials: bool = True) -> str:
        tokens = torch.as_tensor(ids).tolist()
        return self._inner.decode(tokens, skip_special_tokens=not specials)

    def count_unknown(self, text: str) -> dict[str, int]:
        return {}

    def with_tokens(self, tokens: Sequence[str]) -> Tokenizer:
        raise ValueError(
            "byte pairs cannot get tokens for classes: leave data.append_label out, and write the "
            "classes into the text"
        )

    def to_config(self) -> dict[str, Any]:
        return {"kind": "bpe", "vocab_size": self.wanted, "trained": self.trained}

    @property
    def _inner(self) -> Any:
        if self._tokenizer is None:
            raise ValueError(
                "byte pairs are learned from texts, by data=text and data=instruct: use one of "
                "them, or trained_on(texts)"
            )
        return self._tokenizer


def _library() -> Any:
    return require("tokenizers", "tokenizer=bpe takes tokenizers", "llm")
