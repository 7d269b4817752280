"""Records and windows as graphs."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch_geometric.data import Batch

from gia.data import ByteTokenizer, CharTokenizer, Record, ResidueTokenizer, Text, to_data, windows


def test_a_record_predicts_its_next_tokens():
    tokenizer = ResidueTokenizer()
    data = to_data(Record("p", "mkV"), tokenizer, max_length=10)
    assert tokenizer.decode(data.token) == "<bos>MKV"
    assert tokenizer.decode(data.y) == "MKV<eos>"
    assert data.seq_pos.tolist() == [0, 1, 2, 3]
    assert (data.num_nodes, data.text, data.name, data.cut) == (4, "MKV", "p", 0)
    assert data.validate()


@pytest.mark.parametrize(("max_length", "scored"), [(4, "MKV<eos>"), (3, "MKV"), (1, "M")])
def test_a_long_record_is_cut_and_loses_its_end(max_length, scored):
    tokenizer = ResidueTokenizer()
    data = to_data(Record("p", "MKV"), tokenizer, max_length)
    assert tokenizer.decode(data.y) == scored
    assert data.num_nodes <= max_length
    assert data.cut == 3 - len(scored.removesuffix("<eos>"))


@pytest.mark.parametrize(("max_length", "residues"), [(9, "MKV"), (6, "MKV"), (5, "MK"), (4, "M")])
def test_the_limit_cuts_residues_never_the_label(max_length, residues):
    tokenizer = ResidueTokenizer(["|", "<alpha>"])
    data = to_data(Record("p", "MKV", "alpha"), tokenizer, max_length, append_label=True)
    assert tokenizer.decode(data.token) == f"<bos>{residues}|<alpha>"
    assert tokenizer.decode(data.y) == f"{residues}|<alpha><eos>"
    assert data.y[data.label_mask].tolist() == [tokenizer.token_id("<alpha>")]
    assert data.token[data.label_mask].tolist() == [tokenizer.token_id("|")]
    assert data.cut == 3 - len(residues)
    assert data.num_nodes <= max_length


def test_a_missing_label_is_an_error():
    with pytest.raises(ValueError, match=r"'p' has no label.*label_column"):
        to_data(Record("p", "MKV"), ResidueTokenizer(["|"]), 10, append_label=True)


@given(st.text("abc", min_size=2, max_size=50), st.integers(1, 12))
def test_windows_score_each_symbol_but_the_first_once(text, length):
    tokenizer = CharTokenizer("abc")
    graphs = windows(Record("t", text), tokenizer, length)
    assert "".join(tokenizer.decode(data.y) for data in graphs) == text[1:]
    assert "".join(tokenizer.decode(data.token) for data in graphs) == text[:-1]
    assert all(data.num_nodes == length for data in graphs[:-1])
    assert 1 <= graphs[-1].num_nodes <= length


def test_windows_of_a_real_text(shakespeare):
    [record] = Text(shakespeare).records()
    tokenizer = ByteTokenizer()
    graphs = windows(record, tokenizer, 256)
    assert "".join(data.text for data in graphs) == record.sequence[1:]
    assert len({data.name for data in graphs}) == len(graphs)


def test_graphs_make_a_ragged_batch():
    tokenizer = ResidueTokenizer()
    graphs = [to_data(Record(s, s), tokenizer, 10) for s in ("MKV", "A")]
    batch = Batch.from_data_list(graphs)
    assert batch.ptr.tolist() == [0, 4, 6]
    assert torch.equal(batch.seq_pos, torch.tensor([0, 1, 2, 3, 0, 1]))
    assert batch.text == ["MKV", "A"]
