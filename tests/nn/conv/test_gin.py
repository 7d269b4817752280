"""Laws 2 and 7 for GINConv: PyG's own with unit weights, and every weight counts."""

import pytest
import torch
from laws import assert_same, outputs_and_gradients
from torch import nn
from torch_geometric import EdgeIndex
from torch_geometric.nn import GINConv as PyGGINConv
from torch_geometric.nn import Sequential
from torch_geometric.typing import WITH_TORCH_SPARSE, SparseTensor

from gia.graph import EdgeAdjacency
from gia.nn import GINConv, PerHeadMLP

NODES, CHANNELS = 12, 8


def network():
    return nn.Sequential(nn.Linear(CHANNELS, 16), nn.Tanh(), nn.Linear(16, 6))


def pair_of(*args, **kwargs):
    ours, theirs = GINConv(network(), *args, **kwargs), PyGGINConv(network(), *args, **kwargs)
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


@pytest.fixture
def edges():
    return torch.randint(0, NODES - 1, (2, 40))  # the last node has no neighbour


@pytest.fixture
def x():
    return torch.randn(NODES, CHANNELS)


pytestmark = pytest.mark.usefixtures("float64")


@pytest.mark.parametrize("aggr", ["add", "sum", "mean", "max", "min"])
@pytest.mark.parametrize("train_eps", [False, True])
@pytest.mark.parametrize("flow", ["source_to_target", "target_to_source"])
def test_unit_weights_are_the_parent(x, edges, aggr, train_eps, flow):
    pair = pair_of(0.3, train_eps, aggr=aggr, flow=flow)
    plain = [outputs_and_gradients(conv, x, lambda x, conv=conv: conv(x, edges)) for conv in pair]
    assert_same(*plain, 1e-12)
    ours = pair[0]
    unit = outputs_and_gradients(ours, x, lambda x: ours(x, edges, edge_weight=torch.ones(40)))
    assert_same(plain[0], unit, 1e-12)


def test_positional_calls_of_the_parent(x, edges):
    ours, theirs = pair_of(0.1)
    target = torch.randn(5, CHANNELS)
    edges = torch.stack([edges[0], edges[1] % 5])
    for argument in ((x, target), (x, None)):
        size = (NODES, 5)
        assert torch.allclose(ours(argument, edges, size), theirs(argument, edges, size))
    assert ours((x, None), edges).shape == theirs((x, None), edges).shape
    with pytest.raises(ValueError, match="4 target nodes, but there are 5"):
        ours((x, target), edges, (NODES, 4))


def test_static_graphs(edges):
    ours, theirs = pair_of(0.1)
    x = torch.randn(3, NODES, CHANNELS)
    torch.testing.assert_close(ours(x, edges), theirs(x, edges))


def test_sparse_inputs(x, edges):
    ours, theirs = pair_of()
    edges = torch.unique(edges, dim=1)
    weight = torch.rand(edges.size(1))
    expected = ours(x, edges, edge_weight=weight)
    matrix = torch.sparse_coo_tensor(edges.flip(0), weight, (NODES, NODES)).coalesce()
    torch.testing.assert_close(ours(x, matrix), expected)
    torch.testing.assert_close(ours(x, matrix.to_sparse_csr()), expected)
    index = EdgeIndex(edges.contiguous(), sparse_size=(NODES, NODES))
    torch.testing.assert_close(ours(x, index, edge_weight=weight), expected)
    torch.testing.assert_close(ours(x, index), theirs(x, edges))


@pytest.mark.skipif(not WITH_TORCH_SPARSE, reason="torch-sparse is not installed")
def test_sparse_tensor_values_are_weights(x, edges):
    ours, theirs = pair_of()
    weight = torch.rand(40)
    adj_t = SparseTensor.from_edge_index(edges, weight, (NODES, NODES)).t()
    torch.testing.assert_close(ours(x, adj_t), ours(x, edges, edge_weight=weight))
    torch.testing.assert_close(ours(x, adj_t.set_value(None)), theirs(x, edges))
    with pytest.raises(ValueError, match="leave out edge_weight"):
        ours(x, adj_t, edge_weight=weight)
    with pytest.raises(ValueError, match="pass its transpose"):
        GINConv(network(), flow="target_to_source")(x, adj_t)


def test_weights_are_the_equation(x, edges):
    weight = torch.randn(40)
    conv = GINConv(nn.Identity(), eps=0.5)
    matrix = torch.zeros(NODES, NODES).index_put_((edges[1], edges[0]), weight, accumulate=True)
    torch.testing.assert_close(conv(x, edges, edge_weight=weight), 1.5 * x + matrix @ x)


def test_heads_have_weights_and_eps_of_their_own(x, edges):
    weight = torch.rand(40, 2)
    conv = GINConv(PerHeadMLP(2, 4, 6, 4), 0.2, True, heads=2)
    conv.eps.data = torch.tensor([0.2, -0.7])
    out = conv(x, edges, edge_weight=weight)
    half = GINConv(nn.Identity())
    summed = []
    for head, part in enumerate(x.split(4, dim=1)):
        half.eps.fill_(conv.eps[head])
        summed.append(half(part, edges, edge_weight=weight[:, head]))
    torch.testing.assert_close(out, conv.nn(torch.cat(summed, dim=1)))


def test_law_7_every_edge_counts(x, edges):
    weight = torch.rand(40).requires_grad_()
    conv = GINConv(network())
    out = conv(x, edges, edge_weight=weight)
    for edge in range(40):
        (gradient,) = torch.autograd.grad(out[edges[1, edge]].sum(), weight, retain_graph=True)
        assert gradient[edge] != 0


def test_inside_a_pyg_model(x, edges):
    weighted = torch.sparse_coo_tensor(edges.flip(0), torch.rand(40), (NODES, NODES)).coalesce()
    model = Sequential(
        "x, edge_index, adj_t",
        [
            (GINConv(network()), "x, adj_t -> x"),
            nn.ReLU(),
            (PyGGINConv(nn.Linear(6, 3)), "x, edge_index -> x"),
        ],
    )
    weight = weighted.values()
    first = model[0](x, weighted.indices().flip(0), edge_weight=weight)
    expected = model[2](first.relu(), edges)
    torch.testing.assert_close(model(x, edges, weighted), expected)


def test_bad_arguments_are_named(x, edges):
    with pytest.raises(ValueError, match="heads must be at least 1, got 0"):
        GINConv(network(), heads=0)
    with pytest.raises(ValueError, match="3 heads cannot share 8 channels"):
        GINConv(network(), heads=3)(x, edges)
    with pytest.raises(ValueError, match="'median' has no meaning on a weighted graph"):
        GINConv(network(), aggr="median")
    with pytest.raises(TypeError, match="got str"):
        GINConv(network())(x, "edges")
    with pytest.raises(ValueError, match="leave out edge_weight"):
        GINConv(network())(x, EdgeAdjacency(edges, num_nodes=NODES), edge_weight=torch.ones(40))


def test_second_derivatives_are_right(edges):
    """What training on forces, the gradients of energies, needs."""
    conv = GINConv(PerHeadMLP(2, 4, 6, 4), 0.2, True, heads=2)
    x = torch.randn(NODES, CHANNELS, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda x: conv(x, edges), x)
