"""Benchmark graphs."""

import os

import pytest
import torch
from torch_geometric.datasets import TUDataset
from torch_geometric.transforms import AddRandomWalkPE, Constant

from gia.data import TU, DataModule


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GIA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "tu"


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
    return folder


@pytest.mark.parametrize(("name", "number", "channels"), [("MUTAG", 188, 7), ("PROTEINS", 1113, 3)])
def test_graphs_are_those_of_pyg(shared_data, tmp_path, name, number, channels):
    before = sorted((shared_data / "tu" / name).rglob("*"))
    ours = TU(name, shared_data / "tu")
    assert sorted((shared_data / "tu" / name).rglob("*")) == before
    (tmp_path / name).mkdir()
    (tmp_path / name / "raw").symlink_to(shared_data / "tu" / name / "raw")
    theirs = TUDataset(tmp_path, name)
    assert isinstance(ours, TUDataset)
    assert len(ours) == len(theirs) == number
    for i in (0, 7, number - 1):
        for key in ("x", "edge_index", "edge_attr", "y"):
            assert (key in ours[i]) == (key in theirs[i])
            if key in theirs[i]:
                assert torch.equal(ours[i][key], theirs[i][key])
    assert ours[0].x.size(1) == channels
    data = DataModule(ours, target_type="classification", split="none")
    inputs = data.inputs()
    assert (inputs["node_channels"], inputs["node_categories"]) == (channels, [])
    assert (inputs["class_names"], inputs["level"]) == (["0", "1"], "graph")
    assert data.graphs[7].y.tolist() == [[float(theirs[7].y)]]
    assert [graph.name for graph in data.graphs] == [f"{name}_{i}" for i in range(number)]


def test_files_are_read_once(shared_data, monkeypatch):
    TU("MUTAG", shared_data / "tu")
    monkeypatch.setattr("gia.data.datasets.tu._Reader.process", None)
    assert len(TU("MUTAG", shared_data / "tu")) == 188


def test_an_interrupted_reading_leaves_nothing(shared_data, monkeypatch, cache):
    def interrupted(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("torch_geometric.datasets.tu_dataset.fs.torch_save", interrupted)
        with pytest.raises(KeyboardInterrupt):
            TU("MUTAG", shared_data / "tu")
    assert not [path for path in cache.rglob("*") if path.is_file()]
    assert len(TU("MUTAG", shared_data / "tu")) == 188


def test_attributes_of_nodes(shared_data):
    graphs = TU("PROTEINS", shared_data / "tu", use_node_attr=True)
    assert graphs[0].x.size(1) == 4
    assert graphs[0].x[0, 0] == 23
    assert graphs.digest() != TU("PROTEINS", shared_data / "tu").digest()


def test_nodes_without_features_have_their_degree(tmp_path):
    graphs = TU("TINY", tiny(tmp_path))
    assert [data.x.tolist() for data in graphs] == [[[1], [2], [1]], [[0]], [[1], [1]]]
    assert [data.num_edges for data in graphs] == [4, 0, 2]
    data = DataModule(graphs, target_type="classification", split="none")
    assert data.inputs()["node_categories"] == [3]
    assert [graph.y.item() for graph in data.graphs] == [1, 0, 1]


def test_targets_that_are_numbers(tmp_path):
    graphs = TU("TINY", tiny(tmp_path, graph_attributes="0.5, 1\n-1, 2\n3, nan\n"))
    data = DataModule(graphs, split="none")
    assert data.inputs()["target_names"] == ["y_0", "y_1"]
    y = torch.cat([graph.y for graph in data.graphs])
    assert y.isnan().tolist() == [[False, False], [False, False], [False, True]]
    assert data.summary()["missing_targets"] == {"y_0": 0, "y_1": 1}


def test_damaged_files_are_told(tmp_path):
    for labels, message in (("5\n3\n", "2 targets"), ("5\n3\n1\n2\n", "4 targets")):
        folder = tiny(tmp_path / message, graph_labels=labels)
        with pytest.raises(ValueError, match=rf"TINY/raw .*3 graphs but {message}\): .*damaged"):
            TU("TINY", folder)
    folder = tiny(tmp_path / "empty", graph_indicator="1\n1\n")
    with pytest.raises(ValueError, match=r"TINY/raw cannot be read as a dataset .* damaged"):
        TU("TINY", folder)
    folder = tiny(tmp_path / "order", graph_indicator="1\n1\n2\n1\n3\n3\n")
    with pytest.raises(ValueError, match=r"the graph indicator .* in order, from 1"):
        TU("TINY", folder)
    folder = tiny(tmp_path / "long", node_labels="0\n" * 7)
    with pytest.raises(ValueError, match=r"6 nodes but labels or attributes of 7"):
        TU("TINY", folder)


def test_graphs_without_edges_count_too(tmp_path):
    indicator, labels = "1\n1\n2\n3\n3\n4\n", "5\n3\n5\n3\n"
    files = {"graph_indicator": indicator, "graph_labels": labels}
    for name, edges, found in (
        ("last", "1, 2\n2, 1\n", [2, 0, 0, 0]),
        ("one", "4, 5\n", [0, 0, 1, 0]),
        ("none", "", [0, 0, 0, 0]),
        ("loops", "1, 1\n6, 6\n", [0, 0, 0, 0]),
    ):
        graphs = TU("TINY", tiny(tmp_path / name, A=edges, **files))
        assert [data.num_edges for data in graphs] == found
        assert [data.num_nodes for data in graphs] == [2, 1, 2, 1]
        assert [int(data.y) for data in graphs] == [1, 0, 1, 0]
    labelled = files | {"A": "1, 2\n2, 1\n", "edge_labels": "0\n1\n", "node_labels": "0\n1\n" * 3}
    graphs = TU("TINY", tiny(tmp_path / "labels", **labelled))
    assert [data.edge_attr.shape for data in graphs[:1]] == [(2, 2)]
    assert len(graphs) == 4


def test_what_is_made_of_graphs_without_edges_is_whole(tmp_path):
    folder = tiny(tmp_path, A="1, 2\n2, 1\n")
    graphs = TU("TINY", folder, pre_transform=Constant())
    assert [data.x.shape for data in graphs] == [(3, 1), (1, 1), (2, 1)]


def test_a_last_line_needs_no_end(tmp_path):
    whole = TU("TINY", tiny(tmp_path / "whole"))
    contents = {"A": "1, 2\r\n2, 1\r\n2, 3\r\n3, 2\r\n5, 6\r\n6, 5", "graph_labels": "5\n3\n5\n\n"}
    torn = TU("TINY", tiny(tmp_path / "torn", graph_indicator="1\n1\n1\n2\n3\n3", **contents))
    assert [data.num_edges for data in torn] == [data.num_edges for data in whole] == [4, 0, 2]


def test_downloads_once_and_whole(tmp_path, monkeypatch, cache):
    origin = tiny(tmp_path / "origin") / "TINY" / "raw"

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
        TU("TINY")
    assert list(cache.iterdir()) == []
    broken = False
    assert len(TU("TINY", tmp_path / "nowhere")) == 3
    broken = True
    assert len(TU("TINY")) == 3


def test_no_file_stands_for_a_dataset(tmp_path):
    with pytest.raises(ValueError, match=r"data\.path=new\.csv: give data\.name=.* data\.root="):
        TU("TINY", tiny(tmp_path)).with_file("new.csv")


def test_graphs_are_kept_by_what_their_options_say(shared_data):
    root = shared_data / "tu"

    def used(**options):
        dataset = TU("MUTAG", root, **options)
        data = DataModule(dataset, target_type="classification")
        data.setup()
        assert len(data.graphs) == len(dataset)
        return data.graphs

    for length in (4, 8):
        graphs = used(pre_transform=AddRandomWalkPE(length))
        assert graphs[0].random_walk_pe.shape == (17, length)
    assert used()[0].edge_attr is not None
    assert used()[0].get("random_walk_pe") is None
    for most in (15, 20):
        graphs = used(pre_filter=lambda data, most=most: data.num_nodes < most)
        assert max(graph.num_nodes for graph in graphs) == most - 1
        values = used(pre_transform=lambda data, most=most: Constant(most)(data))
        assert float(values[0].x[0, -1]) == most


def test_attributes_of_edges(tmp_path):
    attributes = "".join(f"{i}.5\n" for i in range(6))
    labels = "1\n" * 6
    root = tiny(tmp_path, edge_attributes=attributes, edge_labels=labels)
    for use, columns in ((False, 1), (True, 2)):
        data = DataModule(TU("TINY", root, use_edge_attr=use), split="none")
        assert data.test_data[0].edge_attr.size(1) == columns


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/b", ".."])
def test_a_name_is_no_path(name, tmp_path):
    """What was processed is unpickled, so that a name must not lead elsewhere."""
    with pytest.raises(ValueError, match=r"data.name=.* is a path: give a name"):
        TU(name, tmp_path)
