"""The tokenizer that belongs to a pretrained language model."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from importlib.util import find_spec
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gia.data.files import read_text
from gia.data.tokenizer import Tokenizer, in_parts

GGUF = ".gguf"


def place_of(base: str | PathLike) -> tuple[str, dict[str, str]]:
    """Where Hugging Face's ``from_pretrained`` finds a model: a name, and more arguments.

    Args:
        base: a model of the hub such as ``HuggingFaceTB/SmolLM2-135M``, a folder, or a GGUF file.

    Raises:
        FileNotFoundError: if it can only be a file or folder, and there is none.
    """
    path = Path(base).expanduser()
    if path.suffix == GGUF and path.is_file():
        return str(path.parent), {"gguf_file": path.name}
    if path.is_dir():
        return str(path), {}
    if path.suffix == GGUF or path.is_absolute() or len(path.parts) > 2 or str(base)[:1] in "./~":
        raise FileNotFoundError(
            f"there is no model {base} (looked in {Path.cwd()}): give the name of one of the "
            "Hugging Face hub, a folder, or a GGUF file (model.base=..., of a checkpoint base=...)"
        )
    return str(base), {}


def check_installed() -> None:
    """See that transformers is there.

    Raises:
        ImportError: if it is not.
    """
    if find_spec("transformers") is None:
        raise ImportError(
            "a pretrained model takes transformers, which is not installed: pip install gia[llm]"
        )


def not_loaded(base: str | PathLike, error: Exception) -> OSError:
    """The error that says in one line why a model of the hub or of a folder could not be read."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return OSError(
        f"the model {base} cannot be loaded ({lines[0] if lines else type(error).__name__}): give "
        "the name of one of the Hugging Face hub, which needs a connection the first time, a "
        "folder that save_pretrained has written, or a GGUF file"
    )


class PretrainedTokenizer(Tokenizer):
    """The tokenizer of a pretrained language model, with its chat template if it has one.

    A checkpoint keeps where it is, and a digest of its vocabulary.

    Args:
        base: a model of the Hugging Face hub, a folder, or a GGUF file.
        eos_token: the token that ends a sequence, where the tokenizer has none of its own, or
            another one is wanted.
        chat_template: a Jinja template for chats, or a file with one, in place of the tokenizer's
            own.
        digest: of the vocabulary, where it is known.

    Attributes:
        bos, eos, unk: these tokens; None where there is none. ``bos`` is None as well where the
            tokenizer does not begin texts with it.

    Raises:
        ImportError: if transformers is not installed.
        OSError: if there is no such model.
        ValueError: if it has no such token, or its vocabulary is another one.
    """

    def __init__(
        self,
        base: str | PathLike,
        eos_token: str | None = None,
        chat_template: str | PathLike | None = None,
        digest: str | None = None,
    ) -> None:
        check_installed()
        from transformers import AutoTokenizer

        self.base, self.eos_token = str(base), eos_token
        name, where = place_of(base)
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(name, **where)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise not_loaded(base, error) from error
        if not self._tokenizer.is_fast:
            raise ValueError(
                f"the tokenizer of {base} cannot say which letters a token is of: save a fast one "
                "beside the model (AutoTokenizer.from_pretrained(...).save_pretrained(folder))"
            )
        self.chat_template = None
        if chat_template is not None:
            self.chat_template = str(chat_template)
            if "{{" not in self.chat_template:
                self.chat_template = read_text(chat_template, option="tokenizer.chat_template")
            self._tokenizer.chat_template = self.chat_template
        self.extra_tokens = ()
        self.bos, self.unk = self._start(), self._tokenizer.unk_token_id
        self.eos = self._tokenizer.eos_token_id if eos_token is None else self.token_id(eos_token)
        if digest not in (None, self.digest):
            raise ValueError(
                f"the tokenizer of {base} has another vocabulary than the one that the model was "
                "trained with: give base=... where that one is"
            )

    @cached_property
    def symbols(self) -> list[str]:
        return self._tokenizer.convert_ids_to_tokens(list(range(len(self._tokenizer))))

    @property
    def digest(self) -> str:
        """SHA-256 of the vocabulary."""
        text = "\n".join(str(symbol) for symbol in self.symbols)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def has_chat_template(self) -> bool:
        return bool(self._tokenizer.chat_template)

    def token_id(self, symbol: str) -> int:
        token = self._tokenizer.get_vocab().get(symbol)
        if token is None:
            raise ValueError(
                f"{symbol!r} is no token of {self.base} (tokenizer.eos_token): its special "
                f"tokens are {' '.join(self._tokenizer.all_special_tokens) or 'none'}"
            )
        return token

    def encode(self, text: str) -> Tensor:
        ids = self._tokenizer(text, add_special_tokens=False, verbose=False).input_ids
        return torch.tensor(ids, dtype=torch.long)

    def encode_parts(self, parts: Sequence[str]) -> list[Tensor]:
        """Tokens of the whole text, each in the part in which it ends: where parts meet, letters
        of both may be one token, as they would be if the text were read at once."""
        read = self._tokenizer(
            "".join(parts), add_special_tokens=False, return_offsets_mapping=True, verbose=False
        )
        return in_parts(read.input_ids, read.offset_mapping, parts)

    def decode(self, ids: Tensor | Iterable[int], specials: bool = True) -> str:
        tokens = torch.as_tensor(ids).tolist()
        return self._tokenizer.decode(tokens, skip_special_tokens=not specials)

    def count_unknown(self, text: str) -> dict[str, int]:
        if self.unk is None:
            return {}
        read = self._tokenizer(
            text, add_special_tokens=False, return_offsets_mapping=True, verbose=False
        )
        pairs = zip(read.input_ids, read.offset_mapping, strict=True)
        unknown = Counter(text[begin:end] for token, (begin, end) in pairs if token == self.unk)
        return dict(sorted(unknown.items()))

    def chat(self, messages: Sequence[Mapping[str, Any]], *, answers: bool = False) -> str:
        """The text of a chat, by the tokenizer's template.

        Args:
            messages: each with ``role`` and ``content``.
            answers: whether the text goes on to where an answer begins.

        Raises:
            ValueError: if the template does not take such messages.
        """
        from jinja2 import TemplateError

        try:
            return self._tokenizer.apply_chat_template(
                list(messages), tokenize=False, add_generation_prompt=answers
            )
        except (TemplateError, TypeError, KeyError) as error:
            raise ValueError(f"the chat template refuses it: {error}") from error

    def with_tokens(self, tokens: Sequence[str]) -> Tokenizer:
        raise ValueError(
            f"the tokenizer of {self.base} cannot get tokens for classes: leave data.append_label "
            "out, and write the classes into the text"
        )

    def to_config(self) -> dict[str, Any]:
        return {
            "kind": "pretrained",
            "base": self.base,
            "eos_token": self.eos_token,
            "chat_template": self.chat_template,
            "digest": self.digest,
        }

    def _start(self) -> int | None:
        """The token that the tokenizer itself puts before a text."""
        bos = self._tokenizer.bos_token_id
        first = self._tokenizer("a").input_ids[:1]
        return bos if bos is not None and first == [bos] else None
