"""What is no graph, or not the graph of these features, is told so by its value."""

import pytest
import torch
from laws import make_adjacency
from torch import nn
from torch_geometric import EdgeIndex

from gia.attention import FullScope
from gia.attention.dense import DenseAdjacency
from gia.attention.fused import FusedSoftmax
from gia.graph import EdgeAdjacency, HopAdjacency, SumAdjacency
from gia.nn import GINConv, PNAConv, WeightedSumConv

NODES, CHANNELS = 6, 4
LAYERS = {
    "gin": lambda: GINConv(nn.Identity()),
    "pna": lambda: PNAConv(CHANNELS, CHANNELS, ["sum", "max"], ["identity"]),
    "softmax": WeightedSumConv,
}


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize(
    ("edges", "message"),
    [
        ([[0, 6], [1, 2]], "holds the source 6, but there are 6 source nodes: .* from 0 to 5"),
        ([[0, -1], [1, 2]], "holds the source -1, but there are 6 source nodes"),
        ([[0, 1], [1, 9]], "holds the target 9, but there are 6 target nodes"),
        ([[0, 1], [-3, 1]], "holds the target -3, but there are 6 target nodes"),
        ([[0.0], [1.0]], "must hold integers, got torch.float32"),
        ([[True], [False]], "must hold integers, got torch.bool"),
        ([[0, 1]], r"must have shape \[2, E\], got \[1, 2\]"),
        ([0, 1], r"must have shape \[2, E\], got \[2\]"),
    ],
)
def test_edges_that_fit_no_features_are_named(layer, edges, message):
    with pytest.raises(ValueError, match=message):
        LAYERS[layer]()(torch.randn(NODES, CHANNELS), torch.tensor(edges))


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize(
    ("weight", "got"), [((3,), r"\[3\]"), ((), r"\[\]"), ((2, 1, 1), r"\[2, 1, 1\]")]
)
def test_weights_of_another_length_are_named(layer, weight, got):
    edges = torch.tensor([[0, 1], [1, 2]])
    with pytest.raises(ValueError, match=f"E = 2 edges, got {got}"):
        LAYERS[layer]()(torch.randn(NODES, CHANNELS), edges, edge_weight=torch.ones(weight))


@pytest.mark.parametrize("layer", LAYERS)
def test_matrix_of_another_size_is_named(layer):
    matrix = torch.eye(NODES + 1).to_sparse()
    with pytest.raises(ValueError, match=r"shape \[7, 7\], but there are 6 target and 6 source"):
        LAYERS[layer]()(torch.randn(NODES, CHANNELS), matrix)


def test_sources_and_targets_have_ranges_of_their_own():
    x, conv = (torch.randn(NODES, CHANNELS), torch.randn(2, CHANNELS)), LAYERS["gin"]()
    assert conv(x, torch.tensor([[5], [1]])).shape == (2, CHANNELS)
    with pytest.raises(ValueError, match="holds the target 5, but there are 2 target nodes"):
        conv(x, torch.tensor([[1], [5]]))
    flipped = GINConv(nn.Identity(), flow="target_to_source")
    with pytest.raises(ValueError, match="holds the source 6, but there are 6 source nodes"):
        flipped(x[0], torch.tensor([[1], [6]]))


def test_size_that_contradicts_the_features_is_named():
    x, edges, conv = torch.randn(NODES, CHANNELS), torch.tensor([[5], [1]]), LAYERS["gin"]()
    with pytest.raises(ValueError, match="size says 5 source nodes, but there are 6"):
        conv((x, None), edges, (5, 2))
    with pytest.raises(ValueError, match="pass weights as edge_weight="):
        conv(x, edges, torch.ones(1))


@pytest.mark.parametrize("layer", LAYERS)
def test_graphs_without_edges_have_no_range(layer):
    conv, x = LAYERS[layer](), torch.randn(NODES, CHANNELS)
    empty = torch.empty(2, 0, dtype=torch.long)
    expected = conv(x, empty, edge_weight=torch.empty(0))
    torch.testing.assert_close(conv(x, EdgeIndex(empty, sparse_size=(NODES, NODES))), expected)
    assert torch.isfinite(expected).all()


@pytest.mark.parametrize("form", ["auto", "dense", "edges"])
def test_targets_are_counted_without_writing_a_graph_out(form, monkeypatch):
    x, scope = torch.randn(NODES, CHANNELS), FullScope(torch.tensor([0, 4, NODES]))
    graph = make_adjacency(CHANNELS, 1, form)(x, scope)
    total = SumAdjacency(
        graph, EdgeAdjacency(torch.tensor([[0], [1]]), num_nodes=NODES), torch.ones(1)
    )
    graphs = [graph, total, HopAdjacency(graph, 2)]
    conv = GINConv(nn.Identity())
    expected = [conv((x, None), graph) for graph in graphs]

    def refuse(self):
        raise AssertionError(f"{type(self).__name__} is written out")

    for kind in (FusedSoftmax, DenseAdjacency, SumAdjacency, HopAdjacency):
        monkeypatch.setattr(kind, "to_edges", refuse)
    for graph, out in zip(graphs, expected, strict=True):
        assert graph.num_nodes == NODES
        torch.testing.assert_close(conv((x, None), graph), out)
