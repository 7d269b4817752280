"""Sequences with targets."""

from collections import Counter

import pytest
import torch

from gia.data import DataModule, Peptides, ResidueTokenizer, Sequences
from gia.data.transforms import chain


def source(file, text, **options):
    file.write_text(text)
    return Sequences(file, "seq", "y", **options)


def test_chain():
    assert chain(4).tolist() == [[0, 1, 1, 2, 2, 3], [1, 0, 2, 1, 3, 2]]
    assert chain(1).shape == (2, 0)


def test_a_sequence_is_a_chain_of_residues(tmp_path):
    table = source(tmp_path / "t.csv", "seq,y\nmKV,1\n,2\nM,3\n").load()
    first, last = table.graphs
    assert first.token.tolist() == ResidueTokenizer().encode("MKV").tolist()
    assert (first.text, first.seq_pos.tolist(), first.num_edges) == ("MKV", [0, 1, 2], 4)
    assert (last.row, last.num_nodes, last.num_edges) == (2, 1, 0)
    assert [(entry.row, entry.reason) for entry in table.rejected] == [(1, "the sequence is empty")]


def test_peptides():
    table = Peptides().load()
    counts = Counter(cells[0] for cells in table.cells)
    assert counts == {"antimicrobial": 2600, "other": 2600}
    assert (table.kind, table.unknown) == ("sequence", {})
    columns, rows = Peptides().table()
    assert columns == ["name", "sequence", "activity"]
    assert rows[0]["sequence"] == table.graphs[0].text


def test_cuts_are_counted(tmp_path):
    data = DataModule(
        source(tmp_path / "t.csv", "seq,y\nMKVXX,1\nMK,2\n", max_length=3), split="none"
    )
    summary = data.summary()
    assert (summary["cut"], summary["symbols_cut"], summary["unknown"]) == (1, 2, {"X": 2})
    assert data.graphs[0].text == "MKV"


def test_targets_of_residues(tmp_path):
    text = "seq,y\nMKV,HC?\nMKVL,HHCC\nMK,HHH\nMKA,???\nAA,CC\n"
    data = DataModule(
        source(tmp_path / "t.csv", text, target_level="node", max_length=3),
        target_type="classification",
        split="none",
    )
    data.setup()
    assert (data.items.class_names, data.inputs()["out_channels"]) == (["C", "H"], 2)
    y = [graph.y for graph in data.graphs]
    assert [values.shape for values in y] == [(3, 1), (3, 1), (2, 1)]
    assert y[0][:2].flatten().tolist() == [1, 0]
    assert y[0][2].isnan()
    assert y[1].flatten().tolist() == [1, 1, 0]  # cut as its sequence
    rejected = [(row.row, row.reason) for row in data.items.rejected]
    assert rejected == [(2, "target 'y' has 3 values for 2 nodes"), (3, "no target 'y'")]


def test_numbers_of_residues(tmp_path):
    text = "seq,y\nMKV,1 2.5 x\nMK,3;4\n"
    data = DataModule(source(tmp_path / "t.csv", text, target_level="node"), split="none")
    data.setup()
    assert data.graphs[0].y[:2].flatten().tolist() == [1, 2.5]
    assert data.graphs[1].y.flatten().tolist() == [3, 4]
    assert "'x' is not a number" in data.items.masked[0].reason


def test_secondary_structure(shared_data):
    path = shared_data / "protein" / "rcsb_fold.csv"
    proteins = Sequences(
        path, "sequence", "secondary_structure", target_level="node", max_length=200
    )
    data = DataModule(proteins, target_type="classification", batch_size=16)
    data.setup()
    assert data.items.class_names == list("BCEGHIST")
    assert (data.inputs()["level"], data.inputs()["out_channels"]) == ("node", 8)
    _, rows = proteins.table()
    for graph in data.graphs[::500]:
        letters = "".join(data.items.class_names[int(c)] for c in graph.y.flatten())
        assert letters == rows[graph.row]["secondary_structure"][:200]
    batch = next(iter(data.train_dataloader()))
    assert batch.y.shape == (batch.num_nodes, 1)
    assert torch.equal(batch.seq_pos[: batch.num_nodes_per_graph[0]], batch[0].seq_pos)


def test_options_out_of_range(tmp_path):
    with pytest.raises(ValueError, match="one of graph, node, got 'edge'"):
        source(tmp_path / "t.csv", "seq,y\n", target_level="edge")
    with pytest.raises(ValueError, match=r"data\.max_length must be at least 1, got 0"):
        Peptides(max_length=0)


def test_strict_names_unknown_symbols(tmp_path):
    data = DataModule(source(tmp_path / "t.csv", "seq,y\nMXX,1\n"), strict=True)
    with pytest.raises(ValueError, match=r"the alphabet lacks 'X' \(2\)"):
        data.setup()
