"""Items of PyG datasets in other dress: arrays, sparse adjacencies, faces, NaN."""

import numpy as np
import pytest
import torch
from torch_geometric.data import Data
from torch_geometric.transforms import FaceToEdge, ToSparseTensor
from torch_geometric.utils import sort_edge_index

from gia.data import DataModule, Molecules


def items(number: int = 12, **changes) -> list[Data]:
    """Small graphs, and what is changed in each of them, as a function of its number."""
    torch.manual_seed(0)
    found = []
    for i in range(number):
        edge = torch.randperm(25)[:7]  # no two the same: torch's own layout would join them
        edges = torch.stack([edge // 5, edge % 5])
        data = Data(x=torch.randn(5, 3), edge_index=edges, y=torch.tensor([float(i)]))
        for key, make in changes.items():
            data[key] = make(i)
        found.append(data)
    return found


def module(graphs, **options) -> DataModule:
    data = DataModule(graphs, **options)
    data.setup()
    return data


@pytest.mark.parametrize("layout", [torch.sparse_csr, None], ids=["torch", "torch-sparse"])
def test_a_sparse_adjacency_becomes_edges(layout):
    if layout is None:
        pytest.importorskip("torch_sparse")
    graphs = items(edge_attr=lambda i: torch.randn(7, 2), edge_weight=lambda i: torch.rand(7))
    as_sparse = ToSparseTensor(attr="edge_weight", layout=layout)
    data = module([as_sparse(graph.clone()) for graph in graphs])
    for graph, made in zip(graphs, data.graphs, strict=True):
        index, (attr, weight) = sort_edge_index(
            graph.edge_index, [graph.edge_attr, graph.edge_weight], sort_by_row=False
        )
        assert "adj_t" not in made
        assert torch.equal(made.edge_index, index)
        assert torch.equal(made.edge_attr, attr)
        assert torch.equal(made.edge_weight, weight)


def test_a_transform_that_leaves_a_sparse_adjacency():
    data = module(items(), transform=ToSparseTensor())
    assert data.graphs[0].num_edges == 7


def test_arrays_lists_and_short_integers():
    graphs = items(
        x=lambda i: np.ones((5, 2)),
        edge_attr=lambda i: [[1.0]] * 7,
        edge_index=lambda i: torch.randint(5, (2, 7), dtype=torch.int32),
    )
    data = module(graphs)
    assert data.graphs[0].x.dtype == torch.float32
    assert data.graphs[0].edge_attr.shape == (7, 1)
    assert data.graphs[0].edge_index.dtype == torch.int64


def test_what_is_no_tensor_is_told():
    with pytest.raises(ValueError, match=r"row 0 \(item_0\): x is a str and no tensor"):
        module(items(x=lambda i: "five"))


@pytest.mark.parametrize("name", [torch.tensor(3), None, ["a"]])
def test_a_name_is_a_text(name):
    assert module(items(name=lambda i: name)).graphs[1].name == "item_1"


@pytest.mark.parametrize("key", ["x", "edge_attr", "pos", "my_pe"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_rows_with_numbers_that_are_not_finite_are_left_out(key, value):
    sizes = {"x": (5, 3), "edge_attr": (7, 2), "pos": (5, 3), "my_pe": (5, 4)}

    def make(i: int) -> torch.Tensor:
        numbers = torch.randn(sizes[key])
        numbers[-1, -1] = value if i == 4 else 0.0
        return numbers

    data = module(items(20, **{key: make}))
    (rejected,) = data.items.rejected
    assert rejected.row == 4
    assert rejected.reason == f"its {key!r} holds NaN or an infinity"


def surfaces() -> list[Data]:
    face = torch.tensor([[0, 1], [1, 2], [2, 3]])
    return [Data(x=torch.randn(4, 2), face=face, y=torch.tensor([float(i)])) for i in range(12)]


def test_faces_are_no_edges():
    with pytest.raises(ValueError, match=r"faces, but no edges.*FaceToEdge"):
        module(surfaces())
    assert module(surfaces(), pre_transform=FaceToEdge()).graphs[0].num_edges == 10
    assert module(surfaces(), transform=FaceToEdge()).graphs[0].num_edges == 10


def ring(data: Data) -> Data:
    """Each point joined to the next; KNNGraph would need a package more."""
    node = torch.arange(data.num_nodes)
    data.edge_index = torch.stack([node, node.roll(1)])
    return data


def test_points_need_something_to_read():
    points = [Data(pos=torch.randn(6, 3), y=torch.tensor([float(i)])) for i in range(12)]
    (note,) = (note for note in module(points).items.notes if "learn nothing" in note)
    assert "but pos: give nodes an x" in note
    data = module(points, transform=ring)
    assert data.graphs[0].num_edges == 6
    assert any(note.startswith("pos is not read") for note in data.items.notes)


def test_weights_that_no_model_reads_are_told():
    data = module(items(edge_weight=lambda i: torch.rand(7)))
    assert any(note.startswith("edge_weight is not read") for note in data.items.notes)
    assert not module(items()).items.notes


def test_masks_of_nodes_are_told():
    data = module(items(train_mask=lambda i: torch.rand(5) < 0.5))
    assert any(note.startswith("train_mask is not read") for note in data.items.notes)


def test_a_node_below_zero_is_named():
    with pytest.raises(ValueError, match="edge_index names node -1, but there are 5"):
        module(items(edge_index=lambda i: torch.tensor([[0], [-1]])))


def test_a_function_may_yield_its_items():
    assert len(module(lambda: (data for data in items())).graphs) == 12


class Anew:
    """A transform that begins a new item, and keeps neither names nor targets."""

    def __call__(self, data: Data) -> Data:
        return Data(x=data.x * 2, edge_index=data.edge_index)


@pytest.mark.parametrize("when", ["transform", "pre_transform"])
def test_a_transform_may_begin_a_new_item(when):
    graphs = items(name=lambda i: f"graph {i}")
    data = module(graphs, **{when: Anew()})
    found = data.graphs[3]
    assert (found.name, found.row, float(found.y)) == ("graph 3", 3, 3.0)
    assert torch.equal(found.x, graphs[3].x * 2)


@pytest.mark.parametrize("when", ["transform", "pre_transform"])
def test_a_transform_may_begin_a_new_item_of_a_dataset_of_gias(when, tmp_path):
    table = tmp_path / "m.csv"
    table.write_text("smiles,y\n" + "".join(f"{'C' * n}O,{n}\n" for n in range(1, 21)))
    data = module(Molecules(table, "smiles", "y"), **{when: Anew()})
    found = data.graphs[3]
    assert (found.name, found.row, float(found.y)) == ("row_3", 3, 4.0)
