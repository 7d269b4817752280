"""Our layers inside PyG and torch: ways to write a graph, containers, loaders, compilers."""

import pytest
import torch
from laws import assert_same, outputs_and_gradients
from torch import nn
from torch_geometric import EdgeIndex
from torch_geometric.data import Data
from torch_geometric.datasets import TUDataset
from torch_geometric.loader import DataLoader, NeighborLoader
from torch_geometric.nn import GCNConv, Sequential, global_add_pool
from torch_geometric.nn import GINConv as PyGGINConv
from torch_geometric.nn import PNAConv as PyGPNAConv
from torch_geometric.typing import WITH_PYG_LIB, WITH_TORCH_SPARSE, SparseTensor
from torch_geometric.utils import barabasi_albert_graph, degree

from gia.graph import EdgeAdjacency
from gia.nn import GINConv, PNAConv, WeightedSumConv

NODES, CHANNELS = 12, 8
LAYERS = {"gin": (GINConv, PyGGINConv), "pna": (PNAConv, PyGPNAConv)}

needs_torch_sparse = pytest.mark.skipif(
    not WITH_TORCH_SPARSE, reason="torch-sparse is not installed"
)
needs_a_sampler = pytest.mark.skipif(
    not (WITH_TORCH_SPARSE or WITH_PYG_LIB), reason="neither torch-sparse nor pyg-lib is installed"
)
pytestmark = [
    pytest.mark.usefixtures("float64"),
    pytest.mark.filterwarnings("ignore:Sparse", "ignore:Converting sparse"),
    pytest.mark.filterwarnings("ignore:Using 'NeighborSampler' without"),
]


@pytest.fixture
def edges():
    edges = torch.randint(0, NODES - 1, (2, 40))  # the last node has no neighbour
    return torch.unique(edges, dim=1)  # torch's matrices hold each edge once


@pytest.fixture
def x():
    return torch.randn(NODES, CHANNELS)


def make(layer, channels=CHANNELS, out_channels=6):
    if issubclass(layer, PyGGINConv):
        return layer(nn.Sequential(nn.Linear(channels, out_channels), nn.Tanh()), 0.2, True)
    aggregators, scalers = ["mean", "max", "std"], ["identity", "amplification"]
    return layer(channels, out_channels, aggregators, scalers, torch.tensor([1, 3, 4, 4, 2]))


def pair_of(name):
    ours, theirs = (make(layer) for layer in LAYERS[name])
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


def edge_index_of(edges, sort_order):
    index = EdgeIndex(edges.contiguous(), sparse_size=(NODES, NODES))
    return index if sort_order is None else index.sort_by(sort_order).values


# Ways to write a graph ---------------------------------------------------------------------------

MATRICES = {
    "coo": lambda coo: coo,
    "csr": lambda coo: coo.to_sparse_csr(),
    "csc": lambda coo: coo.to_sparse_csc(),
}


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("sort_order", [None, "row", "col"])
def test_edge_index_classes_are_the_parents(x, edges, layer, sort_order):
    index, pair = edge_index_of(edges, sort_order), pair_of(layer)
    assert index.sort_order == sort_order
    results = [outputs_and_gradients(conv, x, lambda x, conv=conv: conv(x, index)) for conv in pair]
    assert_same(*results, 1e-10)
    torch.testing.assert_close(pair[0](x, index), pair[0](x, edges))
    weight = torch.rand(edges.size(1))
    weighted = pair[0](x, index, edge_weight=weight)
    torch.testing.assert_close(weighted, pair[0](x, index.as_tensor(), edge_weight=weight))


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("layout", MATRICES)
def test_torch_matrices_are_the_parents_and_their_values_weights(x, edges, layer, layout):
    ours, theirs = pair_of(layer)
    size = (NODES, NODES)
    unit = torch.sparse_coo_tensor(edges.flip(0), torch.ones(edges.size(1)), size).coalesce()
    adj_t = MATRICES[layout](unit)
    known = edges if (layer, layout) == ("pna", "csc") else adj_t  # PyG's PNAConv reads no CSC
    results = [
        outputs_and_gradients(conv, x, lambda x, conv=conv, graph=graph: conv(x, graph))
        for conv, graph in ((ours, adj_t), (theirs, known))
    ]
    assert_same(*results, 1e-10)
    weight = torch.rand(edges.size(1))
    weighted = torch.sparse_coo_tensor(edges.flip(0), weight, size).coalesce()
    expected = ours(x, edges, edge_weight=weight)
    torch.testing.assert_close(ours(x, MATRICES[layout](weighted)), expected)


@needs_torch_sparse
@pytest.mark.parametrize("layer", LAYERS)
def test_sparse_tensors_are_the_parents(x, edges, layer):
    adj_t = SparseTensor.from_edge_index(edges, sparse_sizes=(NODES, NODES)).t()
    results = [
        outputs_and_gradients(conv, x, lambda x, conv=conv: conv(x, adj_t))
        for conv in pair_of(layer)
    ]
    assert_same(*results, 1e-10)


@pytest.mark.parametrize("with_targets", [True, False])
@pytest.mark.parametrize(
    "form",
    [
        "edges",
        "index",
        *MATRICES,
        pytest.param("torch-sparse", marks=needs_torch_sparse),
    ],
)
def test_bipartite_graphs_are_the_parents(x, edges, form, with_targets):
    edges = torch.unique(torch.stack([edges[0], edges[1] % 5]), dim=1)
    coo = torch.sparse_coo_tensor(edges.flip(0), torch.ones(edges.size(1)), (5, NODES)).coalesce()
    if form in MATRICES:
        graph = MATRICES[form](coo)
    elif form == "torch-sparse":
        graph = SparseTensor.from_edge_index(edges, sparse_sizes=(NODES, 5)).t()
    else:
        graph = EdgeIndex(edges.contiguous(), sparse_size=(NODES, 5)) if form == "index" else edges
    target = torch.randn(5, CHANNELS) if with_targets else None
    results = [
        outputs_and_gradients(conv, x, lambda x, conv=conv: conv((x, target), graph, (NODES, 5)))
        for conv in pair_of("gin")
    ]
    assert results[0]["output"].shape == (5, 6)
    assert_same(*results, 1e-10)


def test_an_adjacency_is_bipartite_by_itself(x, edges):
    conv, weight = make(GINConv), torch.rand(edges.size(1))
    edges = torch.stack([edges[0], edges[1] % 5])
    graph = EdgeAdjacency(edges, weight, num_nodes=5)
    expected = conv((x, None), edges, (NODES, 5), edge_weight=weight)
    torch.testing.assert_close(conv((x, None), graph), expected)


# Containers --------------------------------------------------------------------------------------


def test_sequential_mixes_our_layers_with_pygs(x, edges):
    def model_of(gin, pna):
        return Sequential(
            "x, edge_index, batch",
            [
                (GCNConv(CHANNELS, 6), "x, edge_index -> x1"),
                nn.ReLU(),
                (make(gin, 6), "x1, edge_index -> x2"),
                (make(pna, 6), "x2, edge_index -> x3"),
                (lambda x1, x3: x1 + x3, "x1, x3 -> x"),
                (global_add_pool, "x, batch -> x"),
                nn.Linear(6, 2),
            ],
        )

    ours, theirs = model_of(GINConv, PNAConv), model_of(PyGGINConv, PyGPNAConv)
    ours.load_state_dict(theirs.state_dict())
    batch = torch.arange(NODES) // 6
    results = [
        outputs_and_gradients(model, x, lambda x, model=model: model(x, edges, batch))
        for model in (ours, theirs)
    ]
    assert results[0]["output"].shape == (2, 2)
    assert_same(*results, 1e-10)


def test_weights_pass_through_sequential_as_an_adjacency(x, edges):
    weight = torch.rand(edges.size(1), requires_grad=True)
    layers = [make(GINConv), make(PNAConv, 6), WeightedSumConv(2)]
    model = Sequential("x, graph", [(layer, "x, graph -> x") for layer in layers])
    expected = x
    for layer in layers:
        expected = layer(expected, edges, edge_weight=weight)
    out = model(x, EdgeAdjacency(edges, weight, num_nodes=NODES))
    torch.testing.assert_close(out, expected)
    (gradient,) = torch.autograd.grad(out.sum(), weight)
    assert (gradient != 0).all()


# Loaders -----------------------------------------------------------------------------------------


class TwoLayers(nn.Module):
    """Node classification with edge weights and edge attributes."""

    def __init__(self, channels, classes, deg):
        super().__init__()
        self.gin = GINConv(nn.Sequential(nn.Linear(channels, 16), nn.Tanh()), edge_dim=2)
        self.pna = PNAConv(16, classes, ["mean", "max", "std"], ["identity", "linear"], deg)

    def forward(self, data):
        weight = data.edge_weight
        x = self.gin(data.x, data.edge_index, edge_attr=data.edge_attr, edge_weight=weight)
        return self.pna(x, data.edge_index, edge_weight=weight)


def large_graph(nodes=5000):
    edge_index = barabasi_albert_graph(nodes, 3)
    return Data(
        x=torch.randn(nodes, CHANNELS),
        edge_index=edge_index,
        edge_weight=torch.rand(edge_index.size(1)),
        edge_attr=torch.randn(edge_index.size(1), 2),
        y=torch.randint(3, (nodes,)),
    )


def histogram(data):
    return torch.bincount(degree(data.edge_index[1], data.num_nodes, dtype=torch.long))


@needs_a_sampler
def test_seeds_with_all_their_neighbours_are_as_in_the_whole_graph():
    data = large_graph()
    model = TwoLayers(CHANNELS, 3, histogram(data))
    seeds = torch.randperm(data.num_nodes)[:60]
    loader = NeighborLoader(data, num_neighbors=[-1, -1], input_nodes=seeds, batch_size=20)
    with torch.no_grad():
        whole = model(data)
        for batch in loader:
            assert batch.num_nodes < data.num_nodes
            out = model(batch)[: batch.batch_size]
            torch.testing.assert_close(out, whole[batch.n_id[: batch.batch_size]])


@needs_a_sampler
def test_training_on_sampled_neighbours_learns():
    data = large_graph(1000)
    data.y = (data.x[:, 0] > 0).long()
    model = TwoLayers(CHANNELS, 2, histogram(data))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    loader = NeighborLoader(data, num_neighbors=[5, 5], batch_size=100, shuffle=True)
    losses = []
    for _ in range(4):
        for batch in loader:
            out = model(batch)[: batch.batch_size]
            loss = nn.functional.cross_entropy(out, batch.y[: batch.batch_size])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])


def test_real_graphs_are_the_same_alone_and_in_a_batch(shared_data, tmp_path):
    (tmp_path / "PROTEINS").mkdir()
    (tmp_path / "PROTEINS" / "raw").symlink_to(shared_data / "tu" / "PROTEINS" / "raw")
    proteins = TUDataset(tmp_path, "PROTEINS", force_reload=True)[:8]
    ours, theirs = (make(layer, proteins.num_features) for layer in LAYERS["pna"])
    ours.load_state_dict(theirs.state_dict())
    batch = next(iter(DataLoader(proteins, batch_size=8)))
    together = ours(batch.x.double(), batch.edge_index)
    torch.testing.assert_close(together, theirs(batch.x.double(), batch.edge_index))
    alone = [ours(graph.x.double(), graph.edge_index) for graph in proteins]
    torch.testing.assert_close(together, torch.cat(alone))


# Compilers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=pytest.mark.slow)])
@pytest.mark.parametrize("layer", LAYERS)
def test_compiled_whole_is_eager(x, edges, layer, backend):
    torch._dynamo.reset()
    conv, weight = make(LAYERS[layer][0]), torch.rand(edges.size(1), requires_grad=True)
    compiled = torch.compile(conv, backend=backend, fullgraph=True)
    results = []
    for call in (conv, compiled):
        weight.grad = None
        found = outputs_and_gradients(
            conv, x, lambda x, call=call: call(x, edges, edge_weight=weight)
        )
        results.append(found | {"weight": weight.grad.clone()})
    assert_same(*results, 1e-10)


@pytest.mark.parametrize("layer", LAYERS)
def test_compiled_layers_take_graphs_of_any_size(layer):
    torch._dynamo.reset()
    conv = make(LAYERS[layer][0])
    compiled = torch.compile(conv, backend="aot_eager", fullgraph=True)
    for nodes, count in ((12, 40), (9, 21), (30, 70), (17, 5)):
        x, edges = torch.randn(nodes, CHANNELS), torch.randint(nodes, (2, count))
        torch.testing.assert_close(compiled(x, edges), conv(x, edges))


def test_compiled_with_edge_attributes_is_eager(x, edges):
    torch._dynamo.reset()
    conv = GINConv(nn.Linear(CHANNELS, 6), edge_dim=2)
    edge_attr = torch.randn(edges.size(1), 2)
    compiled = torch.compile(conv, backend="aot_eager", fullgraph=True)
    results = [
        outputs_and_gradients(conv, x, lambda x, call=call: call(x, edges, edge_attr=edge_attr))
        for call in (conv, compiled)
    ]
    assert_same(*results, 1e-10)
