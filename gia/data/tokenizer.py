"""Tokenizers: text to integer tokens and back, with explicit special and unknown tokens."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

BOS, EOS, UNK = "<bos>", "<eos>", "<unk>"
SPECIALS = (BOS, EOS, UNK)
AMINO_ACIDS = "ACDEFGHIKLMNPQRSTVWY"


class Tokenizer:
    """Base of the tokenizers: a vocabulary of specials, then text symbols, then extra tokens.

    Extra tokens are whole tokens outside the text, such as class labels; ask for their number
    with :meth:`token_id`.

    Args:
        text_symbols: one printable name per text symbol.
        extra_tokens: names of the tokens after the text symbols.

    Raises:
        ValueError: if a name appears twice.
    """

    bos: int | None = 0
    eos: int | None = 1
    unk: int | None = 2
    # Whether messages of a chat become text by a template of the tokenizer's own.
    has_chat_template = False

    def __init__(self, text_symbols: Sequence[str], extra_tokens: Sequence[str]) -> None:
        self.extra_tokens = tuple(extra_tokens)
        self.first_extra = len(SPECIALS) + len(text_symbols)
        self.symbols = [*SPECIALS, *text_symbols, *self.extra_tokens]
        repeated = [symbol for symbol, n in Counter(self.symbols).items() if n > 1]
        if repeated:
            raise ValueError(
                f"a vocabulary holds each symbol once, but {repeated} appear more than once among "
                f"the special tokens, the alphabet and the extra tokens: leave them out of one"
            )
        self._ids = {symbol: i for i, symbol in enumerate(self.symbols)}

    @property
    def vocab_size(self) -> int:
        """Number of tokens V, specials and extra tokens included."""
        return len(self.symbols)

    def token_id(self, symbol: str) -> int:
        """The token of a symbol's name, specials and extra tokens included.

        Raises:
            ValueError: if the vocabulary lacks it.
        """
        if symbol not in self._ids:
            raise ValueError(f"{symbol!r} is not in the vocabulary: {' '.join(self.symbols)}")
        return self._ids[symbol]

    def encode(self, text: str) -> Tensor:
        """Tokens of a text, without ``<bos>`` and ``<eos>``.

        Shapes:
            returns: [L], int64
        """
        raise NotImplementedError

    def encode_parts(self, parts: Sequence[str]) -> list[Tensor]:
        """Tokens of a text that is given in parts, those of each part."""
        return [self.encode(part) for part in parts]

    def decode(self, ids: Tensor | Iterable[int], specials: bool = True) -> str:
        """The text of a token sequence.

        Args:
            ids: [L], tokens.
            specials: show ``<bos>``, ``<eos>`` and extra tokens by name, or leave them out.
                ``<unk>`` stands for a symbol of the text and is always shown.
        """
        raise NotImplementedError

    def count_unknown(self, text: str) -> dict[str, int]:
        """How often each symbol that this tokenizer does not know appears in ``text``."""
        raise NotImplementedError

    def trained_on(self, texts: Iterable[str]) -> "Tokenizer":
        """The tokenizer that texts make of it: itself, if it learns nothing from them."""
        return self

    def with_tokens(self, tokens: Sequence[str]) -> "Tokenizer":
        """The same tokenizer with more extra tokens at the end of its vocabulary."""
        raise NotImplementedError

    def to_config(self) -> dict[str, Any]:
        """A dictionary of plain values that :func:`gia.data.read_tokenizer` turns back into
        a tokenizer; ``kind`` says which."""
        raise NotImplementedError

    def _is_hidden(self, token: int, specials: bool) -> bool:
        return not specials and (token in (self.bos, self.eos) or token >= self.first_extra)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tokenizer) and self.to_config() == other.to_config()

    def __hash__(self) -> int:
        return hash(tuple(self.symbols))

    def __repr__(self) -> str:
        return f"{type(self).__name__}(vocab_size={self.vocab_size})"


class CharTokenizer(Tokenizer):
    """One token per character of a given alphabet; any other character becomes ``<unk>``.

    Args:
        alphabet: the characters, in the order of their tokens.
        extra_tokens: names of whole tokens outside the text. One that is a single character is
            also read from text, so that ``"MKV|"`` can be typed as a prompt.
        uppercase: read lower-case characters as their upper case.

    Raises:
        ValueError: if the alphabet is empty or a symbol appears twice.
    """

    def __init__(
        self, alphabet: str, extra_tokens: Sequence[str] = (), uppercase: bool = False
    ) -> None:
        if not alphabet:
            raise ValueError("alphabet must hold at least one character, got ''")
        super().__init__(list(alphabet), extra_tokens)
        self.alphabet, self.uppercase = alphabet, uppercase
        self._table = {symbol: i for symbol, i in self._ids.items() if len(symbol) == 1}
        if uppercase:
            # Both cases in the table, not text.upper(): that can change a text's length.
            for symbol, i in list(self._table.items()):
                self._table.setdefault(symbol.lower(), i)

    def encode(self, text: str) -> Tensor:
        table, unk = self._table, self.unk
        return torch.tensor([table.get(symbol, unk) for symbol in text], dtype=torch.long)

    def decode(self, ids: Tensor | Iterable[int], specials: bool = True) -> str:
        tokens = torch.as_tensor(ids).tolist()
        return "".join(self.symbols[t] for t in tokens if not self._is_hidden(t, specials))

    def count_unknown(self, text: str) -> dict[str, int]:
        return {s: n for s, n in sorted(Counter(text).items()) if s not in self._table}

    def with_tokens(self, tokens: Sequence[str]) -> "CharTokenizer":
        return CharTokenizer(self.alphabet, [*self.extra_tokens, *tokens], self.uppercase)

    def to_config(self) -> dict[str, Any]:
        return {
            "kind": "characters",
            "alphabet": self.alphabet,
            "extra_tokens": list(self.extra_tokens),
            "uppercase": self.uppercase,
        }


class ResidueTokenizer(CharTokenizer):
    """The 20 amino acids. Lower case is read as upper: in FASTA it marks soft masking.

    Args:
        extra_tokens: names of whole tokens outside the sequence.
    """

    def __init__(self, extra_tokens: Sequence[str] = ()) -> None:
        super().__init__(AMINO_ACIDS, extra_tokens, uppercase=True)


class ByteTokenizer(Tokenizer):
    """One token per byte of the text's UTF-8 form; nothing is unknown.

    Args:
        extra_tokens: names of whole tokens outside the text.
    """

    def __init__(self, extra_tokens: Sequence[str] = ()) -> None:
        names = [chr(b) if 32 < b < 127 else f"\\x{b:02x}" for b in range(256)]
        super().__init__(names, extra_tokens)

    def encode(self, text: str) -> Tensor:
        return torch.tensor(list(text.encode("utf-8")), dtype=torch.long) + len(SPECIALS)

    def decode(self, ids: Tensor | Iterable[int], specials: bool = True) -> str:
        text = bytearray()
        for token in torch.as_tensor(ids).tolist():
            if len(SPECIALS) <= token < self.first_extra:
                text.append(token - len(SPECIALS))
            elif not self._is_hidden(token, specials):
                text += self.symbols[token].encode("utf-8")
        return text.decode("utf-8", errors="replace")

    def count_unknown(self, text: str) -> dict[str, int]:
        return {}

    def with_tokens(self, tokens: Sequence[str]) -> "ByteTokenizer":
        return ByteTokenizer([*self.extra_tokens, *tokens])

    def to_config(self) -> dict[str, Any]:
        return {"kind": "bytes", "extra_tokens": list(self.extra_tokens)}


def in_parts(
    ids: Sequence[int], offsets: Sequence[tuple[int, int]], parts: Sequence[str]
) -> list[Tensor]:
    """Tokens of a whole text, those of each of its parts: a token is of the part in which it ends.

    Args:
        ids: the tokens.
        offsets: where in the text the letters of each begin and end.
        parts: the text.
    """
    tokens = torch.tensor(ids, dtype=torch.long)
    last = torch.tensor([max(begin, end - 1) for begin, end in offsets], dtype=torch.long)
    ends = torch.tensor([len(part) for part in parts]).cumsum(0)
    of_part = torch.bucketize(last, ends, right=True).clamp(max=len(parts) - 1)
    return [tokens[of_part == number] for number in range(len(parts))]
