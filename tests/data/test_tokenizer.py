"""Text to tokens and back."""

import io

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gia.data import ByteTokenizer, CharTokenizer, ResidueTokenizer, read_tokenizer

TOKENIZERS = [
    CharTokenizer("abc", extra_tokens=["|"]),
    ResidueTokenizer(["|", "<alpha>"]),
    ByteTokenizer(["<sep>", "<alpha>"]),
]


@given(st.text())
def test_bytes_round_trip(text):
    tokenizer = ByteTokenizer()
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.count_unknown(text) == {}


@given(st.text("ACDEFGHIKLMNPQRSTVWY"))
def test_residues_round_trip(text):
    tokenizer = ResidueTokenizer()
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert torch.equal(tokenizer.encode(text.lower()), tokenizer.encode(text))


def test_specials_come_first_and_extras_last():
    tokenizer = CharTokenizer("ab", extra_tokens=["|", "<x>"])
    assert tokenizer.symbols == ["<bos>", "<eos>", "<unk>", "a", "b", "|", "<x>"]
    assert tokenizer.vocab_size == 7
    assert (tokenizer.bos, tokenizer.eos, tokenizer.unk) == (0, 1, 2)
    assert tokenizer.encode("ab").dtype == torch.long
    assert tokenizer.encode("").shape == (0,)


def test_unknown_symbols_are_counted_and_shown():
    tokenizer = ResidueTokenizer()
    assert tokenizer.count_unknown("MKXXu*") == {"*": 1, "X": 2, "u": 1}
    assert tokenizer.decode(tokenizer.encode("MXK"), specials=False) == "M<unk>K"


def test_case_matters_unless_uppercase():
    assert CharTokenizer("AB").count_unknown("aB") == {"a": 1}
    assert CharTokenizer("AB", uppercase=True).count_unknown("aB") == {}


@pytest.mark.parametrize("tokenizer", TOKENIZERS, ids=repr)
def test_specials_and_extras_are_named_or_left_out(tokenizer):
    text = tokenizer.decode(tokenizer.encode("c"))
    ids = [tokenizer.bos, *tokenizer.encode("c"), tokenizer.first_extra, tokenizer.eos]
    extra = tokenizer.extra_tokens[0]
    assert tokenizer.decode(ids) == f"<bos>{text}{extra}<eos>"
    assert tokenizer.decode(torch.tensor(ids), specials=False) == text


def test_single_character_extra_tokens_are_read_from_text():
    tokenizer = ResidueTokenizer(["|"])
    assert tokenizer.encode("M|")[1] == tokenizer.token_id("|")


def test_invalid_bytes_become_the_replacement_character():
    tokenizer = ByteTokenizer()
    assert tokenizer.decode(tokenizer.encode("é")[:1]) == "\N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize("tokenizer", TOKENIZERS, ids=repr)
def test_config_round_trip_through_a_checkpoint(tokenizer):
    file = io.BytesIO()
    torch.save(tokenizer.to_config(), file)
    file.seek(0)
    again = read_tokenizer(torch.load(file, weights_only=True))
    assert again == tokenizer
    assert again.symbols == tokenizer.symbols
    assert torch.equal(again.encode("abcMKV"), tokenizer.encode("abcMKV"))
    assert again != tokenizer.with_tokens(["<more>"])


def test_with_tokens_keeps_every_number():
    tokenizer = ResidueTokenizer(["|"])
    more = tokenizer.with_tokens(["<alpha>"])
    assert more.symbols == [*tokenizer.symbols, "<alpha>"]
    assert torch.equal(more.encode("acd|"), tokenizer.encode("acd|"))


def test_errors_name_the_value():
    with pytest.raises(ValueError, match="'a'"):
        CharTokenizer("aba")
    with pytest.raises(ValueError, match=r"'\|'"):
        CharTokenizer("a|").with_tokens(["|"])
    with pytest.raises(ValueError, match="at least one"):
        CharTokenizer("")
    with pytest.raises(ValueError, match="<beta>"):
        ResidueTokenizer().token_id("<beta>")
    with pytest.raises(ValueError, match="words"):
        read_tokenizer({"kind": "words"})
