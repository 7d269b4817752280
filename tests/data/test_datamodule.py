"""From a source to loaders, and what is said about it."""

import csv
import hashlib

import pytest
import torch

from gia.data import (
    ByteTokenizer,
    CharTokenizer,
    DataModule,
    Records,
    Text,
)

LETTERS = "ACDEFGHIKLMNPQRSTVWY"


def module(source, tokenizer=None, max_length=1024, append_label=False, **options):
    """Records, or a dataset, for a language model."""
    if isinstance(source, list):
        common = {"max_length": max_length, "append_label": append_label}
        source = Records(source, tokenizer=tokenizer, **common)
    options = {"split": "similarity", "tokens_per_batch": 4096, **options}
    return DataModule(source, target_type="next_token", **options)


@pytest.fixture(scope="module")
def peptide_data(peptides):
    data = module(peptides, tokens_per_batch=2048)
    data.setup()
    return data


def names(graphs):
    return [data.name for data in graphs]


def test_parts_share_no_sequence(peptide_data):
    parts = [peptide_data.train_data, peptide_data.val_data, peptide_data.test_data]
    assert [len(part) for part in parts] == [4160, 520, 520]
    together = [name for part in parts for name in names(part)]
    assert sorted(together) == sorted(names(peptide_data.graphs))
    train, val, test = ({data.text for data in part} for part in parts)
    assert not train & val
    assert not train & test
    assert not val & test


def test_summary_of_the_peptides(peptide_data):
    summary = peptide_data.summary()
    tokens = sum(summary[part]["tokens"] for part in ("train", "val", "test"))
    assert tokens == 171_133 + 5200  # every residue and every <eos> is a target once
    assert summary["padding_waste"] < 0.05
    assert summary["duplicates"] == 558
    assert (summary["groups"], summary["largest_group"]) == (2227, 529)
    assert summary["test"]["largest_group"] <= summary["test"]["sequences"]
    assert (summary["empty_skipped"], summary["cut"], summary["unknown"]) == (0, 0, {})


def test_training_batches_cover_the_training_part(peptide_data):
    batches = list(peptide_data.train_dataloader())
    seen = [name for batch in batches for name in batch.name]
    assert sorted(seen) == sorted(names(peptide_data.train_data))
    assert all(batch.ptr.diff().max() * batch.num_graphs <= 2048 for batch in batches)


def test_validation_comes_with_as_many_training_graphs(peptide_data):
    val, train = peptide_data.val_dataloader()
    assert names(val.dataset) == names(peptide_data.val_data)
    assert len(train.dataset) == len(val.dataset)
    assert set(names(train.dataset)) < set(names(peptide_data.train_data))
    assert names(train.dataset) == names(peptide_data.val_dataloader()[1].dataset)
    tokens = [sum(data.num_nodes for data in loader.dataset) for loader in (val, train)]
    assert tokens[1] == pytest.approx(tokens[0], rel=0.15)


def test_setup_twice_changes_nothing(peptide_data):
    graphs, part = peptide_data.graphs, peptide_data.split.part
    peptide_data.setup("fit")
    assert peptide_data.graphs is graphs
    assert peptide_data.split.part is part


def test_splits_are_written_down(peptide_data, tmp_path):
    peptide_data.write_splits(tmp_path / "splits.csv")
    with open(tmp_path / "splits.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 5200
    assert [r["name"] for r in rows if r["split"] == "test"] == names(peptide_data.test_data)
    first = peptide_data.graphs[0]
    assert rows[0]["length"] == str(first.num_nodes)
    assert rows[0]["cluster"] == str(peptide_data.split.group[0].item())
    assert hashlib.sha256(first.text.encode()).hexdigest().startswith(rows[0]["sha256"])


def test_fingerprint_tells_splits_apart(source):
    few = source(*(f"MK{a}{b}" for a in LETTERS for b in LETTERS))
    first, again = module(few), module(few)
    assert first.fingerprint() == again.fingerprint()
    for options in ({"split_seed": 1}, {"split": "contiguous"}, {"max_length": 3}):
        assert module(few, **options).fingerprint() != first.fingerprint()


def test_labels_become_tokens(proteins):
    data = module(proteins, append_label=True, split="random")
    data.setup()
    assert [s[1:-1] for s in data.tokenizer.symbols[-3:]] == ["alpha", "alpha+beta", "beta"]
    assert data.tokenizer.symbols[-4:] == ["|", "<alpha>", "<alpha+beta>", "<beta>"]
    classes = [data.tokenizer.decode(graph.y[graph.label_mask]) for graph in data.graphs]
    assert classes == [f"<{record.label}>" for record in proteins]
    assert all(graph.num_nodes <= 1024 for graph in data.graphs)
    summary = data.summary()
    lengths = torch.tensor([len(record.sequence) for record in proteins])
    lost = (lengths - (1024 - 3)).clamp(min=0)
    assert (summary["cut"], summary["symbols_cut"]) == ((lost > 0).sum(), lost.sum())
    assert summary["cut"] > 0
    assert summary["unknown"] == {"U": 8, "X": 211}


def test_labels_with_a_tokenizer_that_has_a_bar(source):
    sequences = [letter * 4 for letter in LETTERS]
    data = module(source(*sequences, labels=("x",) * 20), ByteTokenizer(), append_label=True)
    data.setup()
    assert data.tokenizer.vocab_size == 3 + 256 + 1
    assert data.tokenizer.decode(data.graphs[0].y) == "AAAA|<x><eos>"


def test_the_same_sequence_in_two_classes_stays_together(source):
    sequences = [letter * 4 for letter in LETTERS[:10]]
    twice = source(*sequences, *sequences, labels=("x",) * 10 + ("y",) * 10)
    for split in ("random", "similarity"):
        data = module(twice, append_label=True, split=split)
        data.setup()
        assert torch.equal(data.split.part[:10], data.split.part[10:])
        assert data.summary()["duplicates"] == 10


def test_soft_masked_copies_are_duplicates(source):
    sequences = [letter * 4 for letter in LETTERS]
    data = module(source(*sequences, *(s.lower() for s in sequences)), split="random")
    data.setup()
    assert torch.equal(data.split.part[:20], data.split.part[20:])


def test_windows_of_a_text(shakespeare):
    data = module(Text(shakespeare, max_length=256), split="contiguous")
    parts = [data.train_data, data.val_data, data.test_data]
    text = "".join(graph.text for part in parts for graph in part)
    assert text == shakespeare.read_text()[1:]
    assert len(parts[1]) == len(parts[2]) == pytest.approx(0.1 * len(data.graphs), abs=1)


def test_empty_sequences_are_skipped_and_counted(source):
    data = module(source("", *LETTERS, ""), split="random")
    assert data.summary()["empty_skipped"] == 2
    assert len(data.graphs) == 20


def test_strict_names_the_unknown(source):
    data = module(source("MKV", "MXX", "ZZZ"), strict=True)
    with pytest.raises(ValueError, match=r"lacks 'X' \(2\), 'Z' \(3\), first in record 's1'"):
        data.setup()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "family"}, r"data\.split must be one of random, scaffold, similarity"),
        ({"max_length": 0}, r"data\.max_length must be at least 1, got 0"),
        ({"append_label": True, "max_length": 3}, "must be at least 4, got 3"),
        ({"batch_size": 4}, r"data\.batch_size=4 and data\.tokens_per_batch=4096: .* one of them"),
        ({"split": "file"}, r"data\.split=file and data\.split_file=.* belong together"),
    ],
)
def test_options_out_of_range(source, options, message):
    with pytest.raises(ValueError, match=message):
        module(source("MKV"), **options)


def test_data_that_will_not_do(source, tmp_path):
    with pytest.raises(ValueError, match=r"no sequence is left of 2 rows: row 0 .* is empty"):
        module(source("", "")).setup()
    text = tmp_path / "text.txt"
    text.write_text("M")
    with pytest.raises(ValueError, match="at least two symbols"):
        module(Text(text)).setup()
    with pytest.raises(ValueError, match="needs whole sequences, but data=text has windows"):
        Text(text, append_label=True)
    with pytest.raises(ValueError, match="windows of a text have no target to predict"):
        DataModule(Text(text)).setup()
    with pytest.raises(ValueError, match=r"data\.tokens_per_batch=4 .* 6 tokens"):
        module(source("MKVLA"), tokens_per_batch=4).setup()
    with pytest.raises(ValueError, match="'s0' has no label"):
        module(source("MKVLA"), append_label=True).setup()


def test_characters_work_as_well(source):
    data = module(source(*(f"ab{c}" for c in "cdefghijkl")), CharTokenizer("abcdefghijkl"))
    assert data.summary()["train"]["sequences"] == 8
