"""Laws 2 and 7 for PNAConv."""

import pytest
import torch
from laws import assert_same, outputs_and_gradients
from torch import nn
from torch_geometric.nn import PNAConv as PyGPNAConv
from torch_geometric.typing import WITH_TORCH_SPARSE, SparseTensor

from gia.nn import PerHeadMLP, PNAConv
from gia.nn.conv import aggregate
from gia.nn.conv.inputs import as_adjacency

NODES, CHANNELS = 12, 8
AGGREGATORS = ["sum", "mean", "min", "max", "var", "std"]
SCALERS = ["identity", "amplification", "attenuation", "linear", "inverse_linear"]
DEG = torch.tensor([1, 3, 4, 4, 2])

pytestmark = pytest.mark.usefixtures("float64")


@pytest.fixture
def edges():
    return torch.randint(0, NODES - 1, (2, 40))  # the last node has no neighbour


@pytest.fixture
def x():
    return torch.randn(NODES, CHANNELS)


def pair_of(*args, **kwargs):
    arguments = (CHANNELS, 6, AGGREGATORS, SCALERS, DEG, *args)
    ours, theirs = PNAConv(*arguments, **kwargs), PyGPNAConv(*arguments, **kwargs)
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"towers": 2, "divide_input": True},
        {"towers": 2, "pre_layers": 2, "post_layers": 2, "act": "elu"},
        {"train_norm": True, "flow": "target_to_source"},
    ],
)
def test_unit_weights_are_the_parent(x, edges, arguments):
    pair = pair_of(**arguments)
    plain = [outputs_and_gradients(conv, x, lambda x, conv=conv: conv(x, edges)) for conv in pair]
    assert_same(*plain, 1e-10)
    ours = pair[0]
    unit = outputs_and_gradients(ours, x, lambda x: ours(x, edges, edge_weight=torch.ones(40)))
    assert_same(plain[0], unit, 1e-10)


def test_edge_attributes_and_positional_calls_of_the_parent(x, edges):
    pair = pair_of(3, 2, 1, 2)  # edge_dim, towers, pre_layers, post_layers
    attributes = torch.randn(40, 3)
    results = [
        outputs_and_gradients(conv, x, lambda x, conv=conv: conv(x, edges, attributes))
        for conv in pair
    ]
    assert_same(*results, 1e-10)


@pytest.mark.skipif(not WITH_TORCH_SPARSE, reason="torch-sparse is not installed")
def test_sparse_tensor(x, edges):
    ours, theirs = pair_of()
    adj_t = SparseTensor.from_edge_index(edges, sparse_sizes=(NODES, NODES)).t()
    torch.testing.assert_close(ours(x, adj_t), theirs(x, adj_t))
    ours, theirs = pair_of(3)
    attributes = SparseTensor.from_edge_index(edges, torch.randn(40, 3), (NODES, NODES)).t()
    torch.testing.assert_close(ours(x, attributes), theirs(x, attributes))


@pytest.mark.parametrize("heads", [1, 2])
def test_weighted_aggregators_are_their_equations(x, edges, heads):
    weight = torch.rand(40, heads)
    features = x.view(NODES, heads, -1)
    graph = as_adjacency(edges, weight, num_nodes=NODES)
    results = dict(zip(AGGREGATORS, aggregate(AGGREGATORS, features, graph), strict=True))
    for node in range(NODES):
        arriving = edges[1] == node
        w, values = weight[arriving].unsqueeze(-1), features[edges[0, arriving]]
        total = w.sum(0).clamp(min=1e-12)
        mean = (w * values).sum(0) / total
        var = (w * values**2).sum(0) / total - mean**2
        expected = {"sum": (w * values).sum(0), "mean": mean, "var": var}
        if arriving.any():
            expected |= {"max": values.amax(0), "min": values.amin(0)}
            expected["std"] = torch.where(var > 1e-5, var.clamp(min=1e-5).sqrt(), 0)
        for name, value in expected.items():
            torch.testing.assert_close(results[name][node], value)


def test_scalers_count_weights_or_edges(x, edges):
    arguments = (CHANNELS, CHANNELS, ["sum"], ["linear"], DEG)
    layers = {
        degree: PNAConv(
            *arguments, towers=2, divide_input=True, pre_layers=0, nn=nn.Identity(), degree=degree
        )
        for degree in ("weight", "count")
    }
    weight = torch.rand(40, 2)
    average = layers["count"].aggr_module.avg_deg_lin
    graph = as_adjacency(edges, weight, num_nodes=NODES)
    total = graph.sum(x.view(NODES, 2, -1))
    for name, degree in (("weight", graph.degree()), ("count", graph.count())):
        expected = total * degree.unsqueeze(-1) / average
        out = layers[name](x, edges, edge_weight=weight)
        torch.testing.assert_close(out, expected.flatten(1))


def test_without_pre_layers_the_source_is_sent_as_it_is(x, edges):
    mlp = PerHeadMLP(2, 3 * 4, 5, 4, bias=False, norm=False)
    aggregators = ["mean", "max", "var"]
    conv = PNAConv(
        CHANNELS,
        CHANNELS,
        aggregators,
        ["identity"],
        towers=2,
        pre_layers=0,
        divide_input=True,
        nn=mlp,
    )
    graph = as_adjacency(edges, torch.rand(40, 2), num_nodes=NODES)
    expected = mlp(torch.cat(aggregate(aggregators, x.view(NODES, 2, -1), graph), -1)).flatten(1)
    torch.testing.assert_close(conv(x, graph), expected)


@pytest.mark.parametrize("pre_layers", [0, 1])
def test_law_7_every_edge_counts(x, edges, pre_layers):
    weight = torch.rand(40).requires_grad_()
    conv = PNAConv(CHANNELS, 6, ["sum", "max"], ["identity"], pre_layers=pre_layers)
    out = conv(x, edges, edge_weight=weight)
    for edge in range(40):
        (gradient,) = torch.autograd.grad(out[edges[1, edge]].sum(), weight, retain_graph=True)
        assert gradient[edge] != 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"towers": 4}, "4 towers cannot share 8 input and 6 output channels"),
        ({"scalers": ["linear"]}, r"scalers \['linear'\] need deg"),
        ({"pre_layers": 0, "edge_dim": 2}, "pre_layers of at least 1"),
        ({"degree": "edges"}, "degree must be 'weight' or 'count', got 'edges'"),
        ({"aggregators": ["median"]}, "'median' has no meaning on a weighted graph"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    defaults = {"aggregators": ["sum"], "scalers": ["identity"]}
    with pytest.raises(ValueError, match=message):
        PNAConv(CHANNELS, 6, **(defaults | arguments))


def test_second_derivatives_are_right(edges):
    conv = PNAConv(CHANNELS, 4, ["mean", "var"], ["identity"], pre_layers=0, act="tanh")
    x = torch.randn(NODES, CHANNELS, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda x: conv(x, edges), x)
