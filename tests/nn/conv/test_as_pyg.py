"""Our layers do what else PyG's do: sorted graphs, pieces, TorchScript, copies."""

import copy
import io

import pytest
import torch
from laws import assert_same, outputs_and_gradients
from pyg_layers import (
    CHANNELS,
    EDGES,
    LAYERS,
    NODES,
    PAIRS,
    attributes,
    bare_pna,
    gin,
    pair_of,
    plain_and_hooked,
)
from torch import nn
from torch_geometric import EdgeIndex
from torch_geometric.nn import GINEConv as PyGGINEConv
from torch_geometric.nn import MessagePassing
from torch_geometric.typing import WITH_TORCH_SPARSE, SparseTensor

from gia.nn import GINConv, GINEConv

pytestmark = [
    pytest.mark.usefixtures("float64"),
    pytest.mark.filterwarnings("ignore:Sparse", "ignore:Converting sparse", "ignore:.*jit.script"),
]


@pytest.fixture
def edges():
    edges = torch.randint(0, NODES - 1, (2, EDGES))  # the last node has no neighbour
    return torch.unique(edges, dim=1)


@pytest.fixture
def x():
    return torch.randn(NODES, CHANNELS)


# EdgeIndex ----------------------------------------------------------------------------------------


@pytest.fixture
def no_sort(monkeypatch):
    def forbid(*args, **kwargs):
        raise AssertionError("something is sorted")

    def start():
        for owner, name in ((torch, "argsort"), (torch, "sort"), (torch.Tensor, "argsort")):
            monkeypatch.setattr(owner, name, forbid)
        monkeypatch.setattr(torch.Tensor, "sort", forbid)
        monkeypatch.setattr("torch_geometric.edge_index.index_sort", forbid, raising=False)
        monkeypatch.setattr("torch_geometric.utils.index_sort", forbid)

    return start


@pytest.mark.parametrize("flow", ["source_to_target", "target_to_source"])
@pytest.mark.parametrize("name", ["gin sum", "gin mean", "gin var", "sum", "gine"])
def test_a_sorted_edge_index_with_full_caches_is_never_sorted_again(x, edges, name, flow, no_sort):
    order = "col" if flow == "source_to_target" else "row"
    index = EdgeIndex(edges.contiguous(), sparse_size=(NODES, NODES)).sort_by(order).values
    index.fill_cache_()
    conv = LAYERS[name](flow=flow)
    weight = torch.rand(edges.size(1))
    edge_attr = {"edge_attr": torch.randn(edges.size(1), 3)} if name == "gine" else {}

    def results(graph):
        return outputs_and_gradients(
            conv, x, lambda x: conv(x, graph, edge_weight=weight, **edge_attr)
        )

    expected = results(index.as_tensor())
    no_sort()
    assert_same(results(index), expected, 1e-12)


@pytest.mark.parametrize("aggr", ["max", "min"])
def test_ties_of_an_edge_index_go_to_the_highest_source(aggr):
    """Also where its order leaves the sources of a node in disorder."""
    edges = torch.tensor([[3, 0, 2, 1, 4], [0, 0, 0, 1, 1]])
    index = EdgeIndex(edges, sparse_size=(5, 5), sort_order="col")
    x, conv = torch.zeros(5, 2, requires_grad=True), GINConv(nn.Identity(), -1.0, aggr=aggr)
    gradients = [torch.autograd.grad(conv(x, graph).sum(), x)[0] for graph in (edges, index)]
    torch.testing.assert_close(*gradients)
    assert gradients[0][:, 0].tolist() == [0, 0, 0, 1, 1]


def test_an_edge_index_that_knows_fewer_nodes_is_enough(x, edges):
    """PyG counts up to the last edge; nodes after it have no neighbours."""
    conv = gin()
    for order in ("col", "row"):
        index = EdgeIndex(edges.contiguous()).sort_by(order).values
        plain, hooked = plain_and_hooked(conv, x, lambda x, index=index: conv(x, index))
        assert_same(plain, hooked, 1e-12)
        torch.testing.assert_close(plain["output"], conv(x, edges))


# What else PyG's layers can do --------------------------------------------------------------------


def test_a_layer_in_pieces_is_whole(x, edges):
    """Inference decomposition; where nothing is written out there is nothing to save."""
    conv = gin(decomposed_layers=2)
    expected = gin()
    expected.load_state_dict(conv.state_dict())
    torch.testing.assert_close(conv(x, edges), expected(x, edges))
    conv.register_message_forward_hook(lambda module, inputs, out: sizes.append(out.size(-1)))
    sizes = []
    torch.testing.assert_close(conv(x, edges), expected(x, edges))
    assert sizes == [CHANNELS // 2] * 2


@pytest.mark.parametrize("name", PAIRS)
def test_torch_script_is_the_layer(x, edges, name):
    conv = pair_of(name)[0]
    edge_attr = attributes(name, edges)
    scripted = torch.jit.script(conv)
    torch.testing.assert_close(scripted(x, edges, *edge_attr), conv(x, edges, *edge_attr))
    if WITH_TORCH_SPARSE:
        value = edge_attr[0] if edge_attr else None
        adj_t = SparseTensor.from_edge_index(edges, value, (NODES, NODES)).t()
        torch.testing.assert_close(scripted(x, adj_t), conv(x, adj_t))
    if name == "gin":
        pair, bipartite = (x, torch.randn(5, CHANNELS)), torch.stack([edges[0], edges[1] % 5])
        torch.testing.assert_close(scripted(pair, bipartite), conv(pair, bipartite))


def test_torch_script_of_several_heads_is_the_layer(x, edges):
    conv = gin(heads=2)
    conv.eps.data = torch.tensor([0.2, -0.7])
    torch.testing.assert_close(torch.jit.script(conv)(x, edges), conv(x, edges))


def test_torch_script_refuses_weights_and_tokens(x, edges):
    with pytest.raises(torch.jit.Error, match="graphs without weights"):
        torch.jit.script(gin())(x, edges, edge_weight=torch.rand(edges.size(1)))
    with pytest.raises(NotImplementedError, match="no token_max"):
        torch.jit.script(bare_pna(aggregators=["token_max"]))


@pytest.mark.parametrize("name", PAIRS)
def test_layers_look_like_pygs(name):
    ours, theirs = pair_of(name)
    assert repr(ours) == repr(theirs)
    assert isinstance(ours, MessagePassing)


def test_copied_and_saved_layers_keep_their_hooks_and_methods(x, edges):
    conv = gin()
    stream = io.BytesIO()
    torch.save(conv, stream)
    stream.seek(0)
    for other in (copy.deepcopy(conv), torch.load(stream, weights_only=False)):
        torch.testing.assert_close(other(x, edges), conv(x, edges))
        other.register_message_forward_hook(lambda module, inputs, out: 0 * out)
        assert not torch.allclose(other(x, edges), conv(x, edges))


def test_attributes_of_gine_need_no_map_where_they_fit(x, edges):
    edge_attr = torch.randn(edges.size(1), CHANNELS)
    ours, theirs = gin(GINEConv), gin(PyGGINEConv)
    ours.load_state_dict(theirs.state_dict())
    results = [
        outputs_and_gradients(conv, x, lambda x, conv=conv: conv(x, edges, edge_attr))
        for conv in (ours, theirs)
    ]
    assert_same(*results, 1e-12)
    with pytest.raises(ValueError, match=r"= \[\d+, 8\], got \[\d+, 3\]: .* edge_dim"):
        gin(GINEConv)(x, edges, edge_attr[:, :3])
