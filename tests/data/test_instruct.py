"""Prompts with answers, and chats: what is read, what of it is learned, what is left out."""

import json

import pytest
import torch
from bases import CHAT, sums, tiny_base

from gia.data import DataModule, Instruct, PretrainedTokenizer
from gia.data.schema import IGNORED


def write(path, *records):
    lines = [record if isinstance(record, str) else json.dumps(record) for record in records]
    path.write_text("\n".join(lines) + "\n")
    return path


def learned(dataset, number=0):
    """The text of what is to be learned of an item."""
    y = dataset[number].y
    return dataset.tokenizer.decode(y[y != IGNORED])


def reasons(dataset):
    return {entry.name: entry.reason for entry in dataset.items.rejected}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tiny_base(tmp_path_factory.mktemp("base"), chat=CHAT)


PAIR = {"prompt": "12?", "answer": "no"}


def test_answers_are_learned_and_prompts_are_not(tmp_path):
    path = write(tmp_path / "x.jsonl", PAIR)
    dataset = Instruct(path)
    (item,) = dataset
    assert dataset.tokenizer.decode(item.token) == "<bos>12?\nno"
    assert learned(dataset) == "no<eos>"
    assert (item.y != IGNORED).tolist() == [False] * 4 + [True] * 3
    assert item.token[1:].tolist() == item.y.tolist()[:-1] or (item.y[:4] == IGNORED).all()
    assert item.prompt_length == 5  # <bos> and the line break too
    assert dataset.tokenizer.decode(item.token[: item.prompt_length]) == "<bos>12?\n"
    assert item.text == "12?\n"
    assert item.seq_pos.tolist() == list(range(item.num_nodes))


def test_all_can_be_learned(tmp_path):
    dataset = Instruct(write(tmp_path / "x.jsonl", PAIR), loss_on="all")
    assert learned(dataset) == "12?\nno<eos>"
    assert dataset[0].prompt_length == 5


def test_a_template_of_ones_own(tmp_path):
    path = write(tmp_path / "x.jsonl", PAIR)
    dataset = Instruct(path, template="Q: {prompt}\\nA: {answer}")  # as a command line has it
    assert dataset.tokenizer.decode(dataset[0].token) == "<bos>Q: 12?\nA: no"
    assert learned(dataset) == "no<eos>"
    for wrong in ("{prompt}", "{answer}{prompt}", "{answer}"):
        with pytest.raises(ValueError, match=r"must be chat, or a text with {prompt} once"):
            Instruct(path, template=wrong)


def test_a_pretrained_tokenizer_writes_a_chat_if_it_has_a_template(base, tmp_path):
    dataset = Instruct(write(tmp_path / "x.jsonl", PAIR), tokenizer=PretrainedTokenizer(base))
    text = "<|user|>12?<|end|><|assistant|>no"
    assert dataset.template == "chat"
    assert dataset.tokenizer.decode(dataset[0].token) == text
    assert learned(dataset) == "no<|end|>"
    path = write(tmp_path / "y.jsonl", {"prompt": "12?", "answer": "is"})
    plain = Instruct(path, tokenizer=PretrainedTokenizer(base), template="{prompt} {answer}")
    assert plain.tokenizer.decode(plain[0].token) == "12? is"
    assert learned(plain) == " is<|end|>"  # the blank is of the answer's first token


TURNS = [
    {"role": "system", "content": "Add."},
    {"role": "user", "content": "1 and 2?"},
    {"role": "assistant", "content": "3"},
    {"role": "user", "content": "and 4?"},
    {"role": "assistant", "content": "7"},
    {"role": "user", "content": "thanks"},
]


def test_all_turns_of_the_assistant_are_learned(base, tmp_path):
    path = write(tmp_path / "x.jsonl", {"messages": TURNS})
    dataset = Instruct(path, tokenizer=PretrainedTokenizer(base))
    assert learned(dataset) == "3<|end|>7<|end|>"
    text = dataset.tokenizer.decode(dataset[0].token)
    assert text.endswith("<|user|>and 4?<|end|><|assistant|>7")  # nothing follows it
    begins = dataset.tokenizer.decode(dataset[0].token[: dataset[0].prompt_length])
    assert begins == "<|system|>Add.<|end|><|user|>1 and 2?<|end|><|assistant|>"


def test_bad_lines_are_counted_by_number(base, tmp_path):
    path = write(
        tmp_path / "x.jsonl",
        PAIR,
        "",
        '{"prompt": "1", "answer": ',
        "[1]",
        {"prompt": "1"},
        {"prompt": "1", "answer": "  "},
        {"prompt": ["1"], "answer": "2"},
        {"prompt": "1", "answer": 2},
        {"messages": TURNS[:2]},
        {"messages": []},
        {"messages": [{"role": "user"}]},
        "   ",
    )
    dataset = Instruct(path, tokenizer=PretrainedTokenizer(base))
    assert [data.name for data in dataset] == ["x.jsonl:1", "x.jsonl:8"]
    assert [data.row for data in dataset] == [0, 7]
    assert learned(dataset, 1) == "2<|end|>"
    found = reasons(dataset)
    assert list(found) == [f"x.jsonl:{n}" for n in (2, 3, 4, 5, 6, 7, 9, 10, 11)]
    assert found["x.jsonl:2"] == "an empty line"
    assert found["x.jsonl:3"].startswith("no JSON: ")
    assert found["x.jsonl:4"] == "a list of JSON, and no record of fields"
    assert found["x.jsonl:5"] == "no field 'answer': its fields are prompt"
    assert found["x.jsonl:6"] == "the field 'answer' is empty"
    assert found["x.jsonl:7"] == "the field 'prompt' is a list, and no text"
    assert "no turn of the assistant" in found["x.jsonl:9"]
    assert "system, user" in found["x.jsonl:9"]
    assert "no list of messages" in found["x.jsonl:10"]
    assert "a role and a content" in found["x.jsonl:11"]


def test_fields_that_no_record_has(tmp_path):
    path = write(tmp_path / "x.jsonl", {"question": "1", "answer": "2"})
    with pytest.raises(ValueError, match=r"no field 'prompt'|has a field 'prompt'") as error:
        len(Instruct(path))
    assert "there are question, answer" in str(error.value)
    assert "give data.prompt_field=question data.answer_field=answer" in str(error.value)
    assert len(Instruct(path, prompt_field="question")) == 1
    with pytest.raises(ValueError, match=r"name yours with data\.prompt_field"):
        len(Instruct(write(tmp_path / "y.jsonl", {"a": "1"})))


def test_what_is_too_long_is_left_out_or_cut(tmp_path):
    path = write(tmp_path / "x.jsonl", PAIR, {"prompt": "12?", "answer": "x" * 20})
    dataset = Instruct(path, max_length=10)
    assert len(dataset) == 1
    assert reasons(dataset) == {
        "x.jsonl:2": "25 tokens, 21 of them of answers, are more than data.max_length=10"
    }
    cut = Instruct(path, max_length=10, cut_long=True)
    assert [data.cut for data in cut] == [0, 15]
    assert learned(cut, 1) == "x" * 6
    none = Instruct(path, max_length=3, cut_long=True)
    assert "behind token 3" in reasons(none)["x.jsonl:1"]
    with pytest.raises(ValueError, match="no sequence is left of 2 rows: row 0"):
        DataModule(none, target_type="next_token").setup()


def test_a_list_in_json_and_several_files(tmp_path):
    write(tmp_path / "a.json", json.dumps([PAIR, PAIR | {"answer": "yes"}]))
    write(tmp_path / "b.jsonl", PAIR)
    dataset = Instruct([tmp_path / "a.json", str(tmp_path / "b*.jsonl")])
    assert [data.name for data in dataset] == ["a.json:1", "a.json:2", "b.jsonl:1"]
    write(tmp_path / "c.json", "[{")
    with pytest.raises(ValueError, match="begins as a list in JSON, but is none"):
        len(Instruct(tmp_path / "c.json"))


def test_chats_need_a_template_and_answers_an_end(tmp_path):
    bare = PretrainedTokenizer(tiny_base(tmp_path / "bare", eos=None))
    with pytest.raises(ValueError, match=r"no token that ends an answer.*tokenizer\.eos_token"):
        Instruct(tmp_path / "x.jsonl", tokenizer=bare)
    named = PretrainedTokenizer(tmp_path / "bare", eos_token="<|user|>")
    dataset = Instruct(write(tmp_path / "x.jsonl", PAIR), tokenizer=named)
    assert learned(dataset) == "no<|user|>"
    chats = write(tmp_path / "y.jsonl", {"messages": TURNS})
    with pytest.raises(ValueError, match=r"has none: give tokenizer\.chat_template=FILE"):
        len(Instruct(chats, tokenizer=named))
    (tmp_path / "chat.jinja").write_text(CHAT)
    own = PretrainedTokenizer(tmp_path / "bare", "<|end|>", tmp_path / "chat.jinja")
    assert learned(Instruct(chats, tokenizer=own)) == "3<|end|>7<|end|>"


def test_a_template_that_refuses_or_rewrites_is_told(base, tmp_path):
    chats = write(tmp_path / "x.jsonl", {"messages": TURNS})
    refusing = "{{ raise_exception('roles must alternate') }}"
    dataset = Instruct(chats, tokenizer=PretrainedTokenizer(base, chat_template=refusing))
    assert "roles must alternate" in reasons(dataset)["x.jsonl:1"]
    last_alone = "{{ messages | length }}{{ messages[-1].content }}"
    dataset = Instruct(chats, tokenizer=PretrainedTokenizer(base, chat_template=last_alone))
    assert "writes earlier messages otherwise" in reasons(dataset)["x.jsonl:1"]


def test_equal_prompts_stay_on_one_side(tmp_path):
    records = [{"prompt": f"{n % 10}", "answer": f"{n}"} for n in range(60)]
    data = DataModule(Instruct(write(tmp_path / "x.jsonl", *records)), target_type="next_token")
    parts = [{item.text for item in data.part(part)} for part in ("train", "val", "test")]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 10


def test_a_batch_has_what_is_learned(tmp_path):
    data = DataModule(
        Instruct(sums(tmp_path / "x.jsonl"), prompt_field="question"),
        target_type="next_token",
        tokens_per_batch=256,
    )
    batch = next(iter(data.train_dataloader()))
    assert batch.y.shape == batch.token.shape
    assert batch.prompt_length.shape == (batch.num_graphs,)
    ends = batch.ptr[1:] - 1
    assert (batch.y[ends] == data.tokenizer.eos).all()
    assert data.inputs()["template"] == "{prompt}\n{answer}"
    assert torch.equal(batch.y == IGNORED, batch.seq_pos < batch.prompt_length[batch.batch] - 1)


def test_options_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"data\.loss_on must be one of answers, all"):
        Instruct(tmp_path / "x", loss_on="prompts")
    with pytest.raises(ValueError, match=r"data\.max_length must be at least 2"):
        Instruct(tmp_path / "x", max_length=1)
    with pytest.raises(FileNotFoundError, match="does not exist"):
        len(Instruct(tmp_path / "x"))
