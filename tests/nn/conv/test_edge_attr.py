"""Edge attributes in messages: GINConv becomes PyG's GINEConv, and weights still count."""

import pytest
import torch
from laws import assert_same, outputs_and_gradients
from torch import nn
from torch_geometric.nn import MLP, GINEConv
from torch_geometric.typing import WITH_TORCH_SPARSE, SparseTensor

from gia.graph import EdgeAdjacency
from gia.nn import GINConv, PerHeadMLP, PNAConv

NODES, CHANNELS, EDGES, EDGE_DIM = 12, 8, 40, 3

pytestmark = pytest.mark.usefixtures("float64")


def network():
    return nn.Sequential(nn.Linear(CHANNELS, 16), nn.Tanh(), nn.Linear(16, 6))


def pair_of(*args, **kwargs):
    ours = GINConv(network(), *args, edge_dim=EDGE_DIM, **kwargs)
    theirs = GINEConv(network(), *args, edge_dim=EDGE_DIM, **kwargs)
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


@pytest.fixture
def edges():
    return torch.randint(0, NODES - 1, (2, EDGES))  # the last node has no neighbour


@pytest.fixture
def x():
    return torch.randn(NODES, CHANNELS)


@pytest.fixture
def edge_attr():
    return torch.randn(EDGES, EDGE_DIM, requires_grad=True)


@pytest.mark.parametrize("aggr", ["add", "mean", "max"])
@pytest.mark.parametrize("flow", ["source_to_target", "target_to_source"])
def test_unit_weights_are_gine(x, edges, edge_attr, aggr, flow):
    pair = pair_of(0.3, True, aggr=aggr, flow=flow)
    weight = torch.ones(EDGES)
    graph = EdgeAdjacency(edges if flow == "source_to_target" else edges.flip(0), num_nodes=NODES)
    ours, theirs = pair
    calls = [
        (theirs, lambda x: theirs(x, edges, edge_attr)),
        (ours, lambda x: ours(x, edges, edge_attr=edge_attr)),
        (ours, lambda x: ours(x, edges, edge_attr=edge_attr, edge_weight=weight)),
        (ours, lambda x: ours(x, graph, edge_attr=edge_attr)),
    ]
    results = []
    for conv, call in calls:
        edge_attr.grad = None
        found = outputs_and_gradients(conv, x, call)
        results.append(found | {"edge_attr": edge_attr.grad.clone()})
    for found in results[1:]:
        assert_same(results[0], found, 1e-12)


def test_bipartite_and_static_graphs_are_gines(x, edges, edge_attr):
    ours, theirs = pair_of(0.1)
    bipartite = torch.stack([edges[0], edges[1] % 5])
    for pair in ((x, torch.randn(5, CHANNELS)), (x, None)):
        expected = theirs(pair, bipartite, edge_attr, (NODES, 5))
        torch.testing.assert_close(ours(pair, bipartite, (NODES, 5), edge_attr=edge_attr), expected)
    static = torch.randn(2, NODES, CHANNELS)
    torch.testing.assert_close(
        ours(static, edges, edge_attr=edge_attr), theirs(static, edges, edge_attr)
    )


@pytest.mark.skipif(not WITH_TORCH_SPARSE, reason="torch-sparse is not installed")
def test_sparse_tensor_values_are_attributes_where_none_are_given(x, edges, edge_attr):
    ours, theirs = pair_of()
    adj_t = SparseTensor.from_edge_index(edges, edge_attr, (NODES, NODES)).t()
    torch.testing.assert_close(ours(x, adj_t), theirs(x, adj_t))
    weight = torch.rand(EDGES)
    number = SparseTensor.from_edge_index(edges, torch.arange(EDGES), (NODES, NODES))
    order = number.t().storage.value()  # a SparseTensor sorts its edges
    weighted = adj_t.set_value(weight[order], layout="coo")
    expected = ours(x, edges, edge_attr=edge_attr, edge_weight=weight)
    torch.testing.assert_close(ours(x, weighted, edge_attr=edge_attr[order]), expected)


@pytest.mark.parametrize("heads", [1, 2])
def test_weights_and_heads_are_the_equation(x, edges, edge_attr, heads):
    weight = torch.randn(EDGES, heads)
    mlp = PerHeadMLP(heads, CHANNELS // heads, 6, 5)
    conv = GINConv(mlp, eps=0.5, heads=heads, edge_dim=EDGE_DIM)
    messages = (x[edges[0]] + conv.lin(edge_attr)).relu().view(EDGES, heads, -1)
    total = torch.zeros(NODES, heads, CHANNELS // heads)
    total.index_add_(0, edges[1], weight.unsqueeze(-1) * messages)
    out = conv(x, edges, edge_attr=edge_attr, edge_weight=weight)
    torch.testing.assert_close(out, mlp(1.5 * x + total.flatten(1)))


@pytest.mark.parametrize(
    "nn",
    [
        nn.Linear(CHANNELS, 4),
        nn.Sequential(nn.Sequential(nn.Linear(CHANNELS, 4)), nn.ReLU()),
        MLP([CHANNELS, 5, 4]),
        PerHeadMLP(2, CHANNELS // 2, 6, 4),
    ],
    ids=["linear", "nested", "pyg", "per head"],
)
def test_channels_are_told_from_the_network(nn):
    conv = GINConv(nn, edge_dim=EDGE_DIM)
    assert conv.lin.weight.shape == (CHANNELS, EDGE_DIM)
    before = conv.lin.weight.detach().clone()
    conv.reset_parameters()
    assert not torch.equal(conv.lin.weight, before)


@pytest.mark.parametrize("nn", [nn.Identity(), nn.Sequential(), nn.LazyLinear(4), torch.relu])
def test_channels_that_cannot_be_told_are_asked_for(nn):
    with pytest.raises(ValueError, match="put a linear layer first"):
        GINConv(nn, edge_dim=EDGE_DIM)
    assert GINConv(nn).lin is None


@pytest.mark.parametrize("layer", ["gin", "pna"])
def test_attributes_that_do_not_fit_are_named(x, edges, edge_attr, layer):
    def make(edge_dim=None):
        if layer == "gin":
            return GINConv(network(), edge_dim=edge_dim)
        return PNAConv(CHANNELS, 6, ["sum"], ["identity"], edge_dim=edge_dim)

    with pytest.raises(ValueError, match=r"edge_attr of shape \[40, 3\] needs .* edge_dim"):
        make()(x, edges, edge_attr=edge_attr)
    conv = make(EDGE_DIM)
    with pytest.raises(ValueError, match=r"edge_dim=3 needs edge_attr \[E, 3\]"):
        conv(x, edges)
    graph = EdgeAdjacency(edges[:, :30], num_nodes=NODES)
    for bad, shape in ((edge_attr, "40, 3"), (edge_attr[:30, :2], "30, 2"), (edge_attr[0], "3")):
        with pytest.raises(ValueError, match=rf"= \[30, 3\], got \[{shape}\]"):
            conv(x, graph, edge_attr=bad)


def test_a_lazy_pna_encoder_takes_what_comes_first(x, edges, edge_attr):
    conv = PNAConv(CHANNELS, 6, ["sum"], ["identity"], edge_dim=-1)
    conv(x, edges, edge_attr)
    with pytest.raises(ValueError, match=r"= \[40, 3\], got \[40, 2\]"):
        conv(x, edges, edge_attr[:, :2])


def test_second_derivatives_are_right(edges):
    conv = GINConv(nn.Linear(CHANNELS, 2), edge_dim=EDGE_DIM)
    x, edge_attr = torch.randn(NODES, CHANNELS), torch.randn(EDGES, EDGE_DIM, requires_grad=True)
    x.requires_grad_()

    def energy(x, edge_attr):
        return conv(x, edges, edge_attr=edge_attr).square()

    assert torch.autograd.gradgradcheck(energy, (x, edge_attr))
