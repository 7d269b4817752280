"""Byte pairs, learned from the texts that they are for."""

import io
import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gia.data import BPETokenizer, DataModule, Instruct, Text, read_tokenizer

pytest.importorskip("tokenizers")
SAID = "the cat sat on the mat, and the cat sat on the hat. ${name} "
TRAINED = BPETokenizer(300).trained_on([SAID * 50])


@given(st.text())
def test_any_text_comes_back(text):
    assert TRAINED.decode(TRAINED.encode(text)) == text
    assert TRAINED.count_unknown(text) == {}


def test_frequent_pairs_become_tokens():
    assert TRAINED.symbols[:3] == ["<bos>", "<eos>", "<unk>"]
    assert (TRAINED.bos, TRAINED.eos, TRAINED.unk) == (0, 1, 2)
    assert 259 < TRAINED.vocab_size <= 300
    assert "Ġthe" in TRAINED.symbols
    assert len(TRAINED.encode(SAID)) < len(SAID) / 2
    assert TRAINED.encode(" the").tolist() == [TRAINED.token_id("Ġthe")]


def test_specials_in_a_text_are_letters():
    assert TRAINED.eos not in TRAINED.encode("a<eos>").tolist()
    ended = [*TRAINED.encode("a").tolist(), TRAINED.eos]
    assert TRAINED.decode(ended) == "a<eos>"
    assert TRAINED.decode(ended, specials=False) == "a"


def test_parts_are_read_as_one_text():
    parts = ["on t", "he mat", ""]
    found = TRAINED.encode_parts(parts)
    assert torch.equal(torch.cat(found), TRAINED.encode("on the mat"))
    assert [TRAINED.decode(part) for part in found] == ["on", " the mat", ""]


def test_a_checkpoint_holds_what_was_learned():
    file = io.BytesIO()
    torch.save(TRAINED.to_config(), file)
    file.seek(0)
    config = torch.load(file, weights_only=True)
    assert "${" not in str(config)
    again = read_tokenizer(config)
    assert again == TRAINED
    assert again.symbols == TRAINED.symbols
    assert again.trained_on(["other texts"]) is again


def test_datasets_train_it(tmp_path):
    (tmp_path / "x.txt").write_text(SAID * 50)
    data = DataModule(
        Text(tmp_path / "x.txt", tokenizer=BPETokenizer(280), max_length=16),
        target_type="next_token",
        split="contiguous",
    )
    inputs = data.inputs()
    assert inputs["vocab_size"] == data.tokenizer.vocab_size <= 280
    assert data.tokenizer.decode(data.train_data[0].token).startswith("the cat")
    lines = [json.dumps({"prompt": "the cat?", "answer": "sat"})] * 30
    (tmp_path / "x.jsonl").write_text("\n".join(lines))
    dataset = Instruct(tmp_path / "x.jsonl", tokenizer=BPETokenizer(270))
    assert dataset[0].num_nodes > 0
    assert dataset.tokenizer.trained is not None


def test_errors_name_the_value():
    with pytest.raises(ValueError, match=r"vocab_size must be at least 259.*got 100"):
        BPETokenizer(100)
    with pytest.raises(ValueError, match="learned from texts, by data=text"):
        BPETokenizer(300).encode("a")
    with pytest.raises(ValueError, match="'no' is none of the"):
        TRAINED.token_id("no")
    with pytest.raises(ValueError, match=r"leave data\.append_label out"):
        TRAINED.with_tokens(["<a>"])
