"""Hooks see and change what they see and change in PyG's layers, and both ways agree."""

import pytest
import torch
from laws import assert_same, make_adjacency, outputs_and_gradients
from pyg_layers import (
    CHANNELS,
    EDGES,
    LAYERS,
    NODES,
    PAIRS,
    attributes,
    gin,
    hook_everywhere,
    pair_of,
    plain_and_hooked,
)
from torch import nn
from torch_geometric import EdgeIndex
from torch_geometric.explain.algorithm.utils import set_masks
from torch_geometric.typing import WITH_TORCH_SPARSE, SparseTensor

from gia.attention import CausalScope, FullScope
from gia.attention.sparsify import TopK
from gia.graph import EdgeAdjacency

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


# Hooks --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("form", ["edges", "sorted", "csr", "torch-sparse"])
def test_hooks_fire_as_often_as_pygs(x, edges, name, form):
    if form == "torch-sparse" and not WITH_TORCH_SPARSE:
        pytest.skip("torch-sparse is not installed")
    if name == "gine" and form == "csr":
        pytest.skip("PyG's GINEConv reads no matrix without attributes in it")
    edge_attr = attributes(name, edges)
    if form == "sorted":
        graph = EdgeIndex(edges.contiguous(), sparse_size=(NODES, NODES)).sort_by("col").values
    elif form == "csr":
        value = torch.ones(edges.size(1))
        graph = torch.sparse_coo_tensor(edges.flip(0), value, (NODES, NODES)).to_sparse_csr()
    elif form == "torch-sparse":
        value = edge_attr[0] if edge_attr else None
        edge_attr = ()
        graph = SparseTensor.from_edge_index(edges, value, (NODES, NODES)).t()
    else:
        graph = edges
    counts, results = [], []
    for conv in pair_of(name):
        called = []
        hook_everywhere(conv, called)
        results.append(
            outputs_and_gradients(conv, x, lambda x, conv=conv: conv(x, graph, *edge_attr))
        )
        counts.append([key for key, _ in called])
    assert counts[0] == counts[1]
    assert len(counts[0]) in (4, 6)
    assert_same(*results, 1e-10)


@pytest.mark.parametrize("name", PAIRS)
def test_hooks_see_what_pygs_see(x, edges, name):
    seen = []
    for conv in pair_of(name):
        called = []
        hook_everywhere(conv, called, ["message"])
        conv(x, edges, *attributes(name, edges))
        seen.append(set(called[0][1]))
    assert seen[1] <= seen[0]


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("step", ["propagate", "message", "aggregate"])
def test_hooks_change_what_they_return(x, edges, name, step):
    edge_attr, results = attributes(name, edges), []
    for conv in pair_of(name):
        before = conv(x, edges, *edge_attr)
        getattr(conv, f"register_{step}_forward_hook")(lambda module, inputs, out: out * 2)
        results.append(
            outputs_and_gradients(conv, x, lambda x, conv=conv: conv(x, edges, *edge_attr))
        )
        assert not torch.allclose(results[-1]["output"], before)
    assert_same(*results, 1e-10)


def test_pre_hooks_change_messages(x, edges):
    results = []
    for conv in pair_of("gin"):
        conv.register_message_forward_pre_hook(
            lambda module, inputs: ({**inputs[0], "x_j": inputs[0]["x_j"].relu()},)
        )
        results.append(conv(x, edges))
    torch.testing.assert_close(*results)


# Both ways agree ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("flow", ["source_to_target", "target_to_source"])
@pytest.mark.parametrize("heads", [None, 1, 2])
def test_with_a_hook_and_without_are_the_same(x, edges, name, flow, heads):
    if heads == 2 and not (name.startswith("pna") or name in ("sum", "gin two heads")):
        pytest.skip("the layer has one head")
    if heads == 1 and name == "pna of tokens":
        pytest.skip("which neighbours count, a threshold says for each head")
    conv = LAYERS[name](flow=flow)
    weight = None if heads is None else torch.rand(edges.size(1), heads, requires_grad=True)
    edge_attr = {"edge_attr": torch.randn(edges.size(1), 3)} if name == "gine" else {}
    gradients = []

    def call(x):
        if weight is not None:
            if weight.grad is not None:
                gradients.append(weight.grad)
            weight.grad = None
        return conv(x, edges, edge_weight=weight, **edge_attr)

    plain, hooked = plain_and_hooked(conv, x, call)
    assert_same(plain, hooked, 1e-10)
    if weight is not None and weight.grad is not None:  # a maximum has none
        torch.testing.assert_close(gradients[0], weight.grad)


@pytest.mark.parametrize("name", [name for name in LAYERS if name != "gine"])
@pytest.mark.parametrize("sparsify", [None, TopK(2)], ids=["softmax", "top k"])
@pytest.mark.parametrize("scope", [CausalScope, FullScope])
def test_attention_is_written_out_where_somebody_looks(x, name, sparsify, scope):
    conv, whole = LAYERS[name](), scope(torch.tensor([0, 5, 12]))
    heads = getattr(conv, "heads", getattr(conv, "towers", 1))
    adjacency = make_adjacency(CHANNELS, heads, sparsify=sparsify)
    features = torch.randn(NODES, CHANNELS)
    plain, hooked = plain_and_hooked(conv, x, lambda x: conv(x, adjacency(features, whole)))
    assert_same(plain, hooked, 1e-9)


@pytest.mark.parametrize("flow", ["source_to_target", "target_to_source"])
def test_an_adjacency_has_its_own_direction(x, edges, flow):
    conv, graph = gin(flow=flow), EdgeAdjacency(edges, num_nodes=NODES)
    plain, hooked = plain_and_hooked(conv, x, lambda x: conv(x, graph))
    assert_same(plain, hooked, 1e-12)
    reference = gin()
    reference.load_state_dict(conv.state_dict())
    torch.testing.assert_close(reference(x, edges), plain["output"])


@pytest.mark.parametrize("with_targets", [True, False])
def test_bipartite_graphs_with_a_hook(x, edges, with_targets):
    edges = torch.stack([edges[0], edges[1] % 5])
    target = torch.randn(5, CHANNELS) if with_targets else None
    conv = gin()
    plain, hooked = plain_and_hooked(conv, x, lambda x: conv((x, target), edges, (NODES, 5)))
    assert plain["output"].shape == (5, 6)
    assert_same(plain, hooked, 1e-12)
    weight = torch.rand(edges.size(1))
    graph = EdgeAdjacency(edges, weight, num_nodes=5)
    assert_same(*plain_and_hooked(conv, x, lambda x: conv((x, target), graph)), 1e-12)


def test_a_pair_against_the_flow_is_pygs(x, edges):
    results = [
        outputs_and_gradients(conv, x, lambda x, conv=conv: conv((x, x.flip(0)), edges))
        for conv in pair_of("gin", flow="target_to_source")
    ]
    assert_same(*results, 1e-12)
    conv, target = gin(flow="target_to_source"), torch.randn(5, CHANNELS)
    bipartite = torch.stack([edges[0] % 5, edges[1]])
    assert conv((x, target), bipartite).shape == (5, 6)
    hooked = gin(flow="target_to_source")
    hook_everywhere(hooked, [])
    torch.testing.assert_close(conv((x, x.flip(0)), edges).shape, hooked((x, x), edges).shape)
    with pytest.raises(ValueError, match="flip edge_index"):
        hooked((x, target), bipartite)


def test_a_mask_of_a_pair_against_the_flow(x, edges):
    conv, pair = gin(flow="target_to_source"), (x, x.flip(0))
    weight = torch.rand(edges.size(1))
    expected = conv(pair, edges, edge_weight=weight)
    set_masks(conv, nn.Parameter(weight), edges, apply_sigmoid=False)
    torch.testing.assert_close(conv(pair, edges), expected)


def test_static_graphs_with_a_hook(edges):
    x, results = torch.randn(3, NODES, CHANNELS), []
    for conv in pair_of("gin"):
        called = []
        hook_everywhere(conv, called)
        results.append(conv(x, edges))
        assert len(called) == 6
    torch.testing.assert_close(*results)
