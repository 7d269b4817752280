"""Benchmark graphs."""

import os

import pytest
import torch
from torch_geometric.datasets import TUDataset

from gia.data import TU, GraphDataModule


def tiny(folder, **files):
    """A path of three nodes, a single node, and a pair; labels 5, 3 and 5."""
    raw = folder / "TINY" / "raw"
    raw.mkdir(parents=True)
    contents = {
        "A": "1, 2\n2, 1\n2, 3\n3, 2\n5, 6\n6, 5\n",
        "graph_indicator": "1\n1\n1\n2\n3\n3\n",
        "graph_labels": "5\n3\n5\n",
    }
    for name, text in (contents | files).items():
        (raw / f"TINY_{name}.txt").write_text(text)
    return TU("TINY", folder)


@pytest.mark.parametrize(("name", "number", "channels"), [("MUTAG", 188, 7), ("PROTEINS", 1113, 3)])
def test_graphs_are_those_of_pyg(shared_data, tmp_path, name, number, channels):
    source = TU(name, shared_data / "tu")
    before = sorted((shared_data / "tu" / name).rglob("*"))
    table = source.load()
    assert sorted((shared_data / "tu" / name).rglob("*")) == before
    (tmp_path / name).mkdir()
    (tmp_path / name / "raw").symlink_to(shared_data / "tu" / name / "raw")
    theirs = TUDataset(tmp_path, name)
    assert len(table.graphs) == len(theirs) == number
    assert table.node_categories == table.edge_categories == []
    for i in (0, 7, number - 1):
        for key in ("x", "edge_index", "edge_attr"):
            assert (key in table.graphs[i]) == (key in theirs[i])
            if key in theirs[i]:
                assert torch.equal(table.graphs[i][key], theirs[i][key])
    assert table.graphs[0].x.size(1) == channels
    # The labels keep the names that they have in the files; sorted, they are PyG's numbers.
    names = sorted({cells[0] for cells in table.cells}, key=float)
    assert names == {"MUTAG": ["-1", "1"], "PROTEINS": ["1", "2"]}[name]
    assert [names.index(cells[0]) for cells in table.cells] == [int(data.y) for data in theirs]


def test_attributes_of_nodes(shared_data):
    table = TU("PROTEINS", shared_data / "tu", use_node_attr=True).load()
    assert table.graphs[0].x.size(1) == 4
    assert table.graphs[0].x[0, 0] == 23


def test_nodes_without_features_have_their_degree(tmp_path):
    table = tiny(tmp_path).load()
    assert [data.x.tolist() for data in table.graphs] == [[[1], [2], [1]], [[0]], [[1], [1]]]
    assert table.node_categories == [128]
    assert table.cells == [["5"], ["3"], ["5"]]
    assert [data.num_edges for data in table.graphs] == [4, 0, 2]


def test_targets_that_are_numbers(tmp_path):
    source = tiny(tmp_path, graph_attributes="0.5, 1\n-1, 2\n3, nan\n")
    table = source.load()
    assert table.target_names == ["target_0", "target_1"]
    assert table.cells[1] == ["-1", "2"]
    data = GraphDataModule(source=source, split="none")
    data.setup()
    y = torch.cat([graph.y for graph in data.graphs])
    assert y.isnan().tolist() == [[False, False], [False, False], [False, True]]
    assert [(row["row"], row["reason"]) for row in data.masked] == [(2, "no target 'target_1'")]


def test_damaged_files_are_told(tmp_path):
    with pytest.raises(ValueError, match=r"TINY/raw cannot be read as a dataset .* damaged"):
        tiny(tmp_path / "short", graph_labels="5\n3\n").load()
    with pytest.raises(ValueError, match="holds 3 graphs but 4 targets"):
        tiny(tmp_path / "long", graph_labels="5\n3\n1\n2\n").load()


def test_downloads_once_and_whole(tmp_path, monkeypatch):
    monkeypatch.setenv("GIA_CACHE", str(tmp_path / "cache"))
    origin = tiny(tmp_path / "origin")._raw

    def download(self):
        os.makedirs(self.raw_dir, exist_ok=True)
        for file in origin.iterdir():
            (type(file)(self.raw_dir) / file.name).write_text(file.read_text())
        if broken:
            raise ConnectionError("lost")

    monkeypatch.setattr(TUDataset, "download", download)
    broken = True
    with pytest.raises(
        FileNotFoundError, match=r"TINY\.zip could not be downloaded \(lost\).*root"
    ):
        TU("TINY").load()
    assert list((tmp_path / "cache" / "tu").iterdir()) == []
    broken = False
    assert len(TU("TINY", tmp_path / "nowhere").load().graphs) == 3
    broken = True
    assert len(TU("TINY").load().graphs) == 3


def test_no_file_stands_for_a_dataset(tmp_path):
    with pytest.raises(ValueError, match=r"data\.path=new\.csv: give data\.name=.* data\.root="):
        tiny(tmp_path).with_file("new.csv")
