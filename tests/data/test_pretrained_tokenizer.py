"""The tokenizer of a pretrained model is one more tokenizer of gia's."""

import json

import pytest
import torch
from bases import CHAT, tiny_base

from gia.data import PretrainedTokenizer, read_tokenizer
from gia.data.pretrained_tokenizer import place_of

PARTS = ["What is 12", " and 7?\nIt", " is 19.é"]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tiny_base(tmp_path_factory.mktemp("base"))


def test_text_to_tokens_and_back(base):
    tokenizer = PretrainedTokenizer(base)
    text = "".join(PARTS)
    ids = tokenizer.encode(text)
    assert ids.dtype == torch.long
    assert len(ids) < len(text)  # words are merged
    assert tokenizer.decode(ids) == text
    assert tokenizer.vocab_size == len(tokenizer.symbols) > 256
    assert tokenizer.symbols[tokenizer.eos] == "<|end|>"
    assert tokenizer.count_unknown(text) == {}
    ended = torch.cat([ids, torch.tensor([tokenizer.eos])])
    assert tokenizer.decode(ended) == text + "<|end|>"
    assert tokenizer.decode(ended, specials=False) == text


def test_parts_are_read_as_one_text(base):
    tokenizer = PretrainedTokenizer(base)
    parts = tokenizer.encode_parts(PARTS)
    assert torch.equal(torch.cat(parts), tokenizer.encode("".join(PARTS)))
    assert [tokenizer.decode(part) for part in parts] == PARTS


def test_a_token_over_the_border_is_of_the_part_in_which_it_ends(base):
    tokenizer = PretrainedTokenizer(base)
    (whole,) = tokenizer.encode(" is").tolist()
    first, second = tokenizer.encode_parts(["12 i", "s 19"])
    assert second.tolist()[0] == whole
    assert (tokenizer.decode(first), tokenizer.decode(second)) == ("12", " is 19")
    empty, rest = tokenizer.encode_parts(["", "12"])
    assert (len(empty), tokenizer.decode(rest)) == (0, "12")


def test_it_begins_texts_as_the_tokenizer_itself_does(base, tmp_path):
    assert PretrainedTokenizer(base).bos is None
    other = tiny_base(tmp_path / "bos")
    tokenizers = pytest.importorskip("tokenizers")
    inner = tokenizers.Tokenizer.from_file(str(other / "tokenizer.json"))
    inner.post_processor = tokenizers.processors.TemplateProcessing(
        single="<|user|> $A", special_tokens=[("<|user|>", inner.token_to_id("<|user|>"))]
    )
    inner.save(str(other / "tokenizer.json"))
    config = json.loads((other / "tokenizer_config.json").read_text())
    (other / "tokenizer_config.json").write_text(json.dumps(config | {"bos_token": "<|user|>"}))
    tokenizer = PretrainedTokenizer(other)
    assert tokenizer.symbols[tokenizer.bos] == "<|user|>"
    assert tokenizer.bos not in tokenizer.encode("12").tolist()


def test_a_checkpoint_keeps_where_it_is(base, tmp_path):
    tokenizer = PretrainedTokenizer(base, eos_token="<|user|>", chat_template=CHAT)
    again = read_tokenizer(tokenizer.to_config())
    assert again == tokenizer
    assert again.symbols[again.eos] == "<|user|>"
    messages = [{"role": "user", "content": "12?"}]
    assert again.chat(messages, answers=True) == "<|user|>12?<|end|><|assistant|>"
    assert "\n" not in tokenizer.digest
    assert len(str(tokenizer.to_config())) < 1000


def test_another_vocabulary_is_told(base):
    config = PretrainedTokenizer(base).to_config() | {"digest": "0" * 64}
    with pytest.raises(ValueError, match=r"another vocabulary than .*: give base=\.\.\."):
        read_tokenizer(config)


def test_errors_name_the_value(base, tmp_path):
    with pytest.raises(ValueError, match=r"'<end>' is no token of .* special tokens are <\|end\|>"):
        PretrainedTokenizer(base, eos_token="<end>")
    with pytest.raises(
        FileNotFoundError, match=r"there is no model ./nowhere .*a folder, or a GGUF"
    ):
        PretrainedTokenizer("./nowhere")
    with pytest.raises(FileNotFoundError, match=r"there is no model x\.gguf"):
        PretrainedTokenizer("x.gguf")
    (tmp_path / "empty").mkdir()
    with pytest.raises(OSError, match=r"cannot be loaded .*: give the name of one"):
        PretrainedTokenizer(tmp_path / "empty")
    with pytest.raises(ValueError, match=r"leave data\.append_label out"):
        PretrainedTokenizer(base).with_tokens(["<a>"])


def test_a_model_of_the_hub_that_cannot_be_reached(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(OSError, match=r"the model nobody/nothing cannot be loaded .*hub") as error:
        PretrainedTokenizer("nobody/nothing")
    assert "\n" not in str(error.value)


def test_where_transformers_finds_a_model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "small.gguf").write_bytes(b"GGUF")
    file = tmp_path / "models" / "small.gguf"
    assert place_of(file) == (str(tmp_path / "models"), {"gguf_file": "small.gguf"})
    assert place_of("models") == ("models", {})
    assert place_of("owner/name") == ("owner/name", {})
    assert place_of("gpt2") == ("gpt2", {})
    for missing in ("/owner/name", "../name", "a/b/c", "~/name"):
        with pytest.raises(FileNotFoundError, match="there is no model"):
            place_of(missing)
