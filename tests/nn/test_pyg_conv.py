"""PyG's layers over attention graphs: laws 1, 4, 5 and 7, what they take, and what is refused."""

import logging
from functools import partial

import pytest
import torch
from graph_data import make, random_graphs
from laws import (
    SCOPES,
    law_1_forms_agree,
    law_4_causality,
    law_5_batch_invariance,
    layer_inputs,
    make_adjacency,
    make_attention,
    sequences,
)
from torch import nn
from torch_geometric.data import Batch
from torch_geometric.nn import (
    ChebConv,
    GATConv,
    GATv2Conv,
    GCN2Conv,
    GCNConv,
    GINConv,
    GINEConv,
    GPSConv,
    GraphConv,
    MessagePassing,
    ResGatedGraphConv,
    SAGEConv,
    TransformerConv,
)

import gia.nn
from gia.attention import CausalScope
from gia.attention.sparsify import TopK
from gia.nn import Block, GraphAttention, LanguageModel, PyGAttention, ReLUMLP, SwiGLU
from gia.nn.pyg_conv import is_causal, takes, tell

WIDTH, HEADS = 16, 2
CONVS = {
    "gcn": GCNConv,
    "graph": GraphConv,
    "graph_max": partial(GraphConv, aggr="max"),
    "sage": SAGEConv,
    "gat": GATConv,
    "gatv2": GATv2Conv,
    "gatv2_heads": partial(GATv2Conv, heads=2),
    "transformer": partial(TransformerConv, heads=2, beta=True),
    "gine": GINEConv,
    "gin": GINConv,
    "gated": ResGatedGraphConv,
}
WEIGHTED = [name for name in CONVS if name not in ("sage", "gin")]
# The edge of the largest message alone counts under a maximum.
EVERY_EDGE = [name for name in WEIGHTED if name != "graph_max"]


def make_pyg(name, sparsify=None, form="auto"):
    adjacency = make_adjacency(WIDTH, HEADS, form, sparsify)
    return PyGAttention(WIDTH, HEADS, adjacency=adjacency, conv=CONVS[name])


def make_language_model(name, sparsify=None):
    block = Block(WIDTH, attention=make_pyg(name, sparsify), mlp=SwiGLU(WIDTH, 24))
    return LanguageModel(vocab_size=11, width=WIDTH, heads=HEADS, depth=2, block=block)


@pytest.fixture(autouse=True)
def said_anew():
    tell.cache_clear()


@pytest.mark.parametrize("sparsify", [None, TopK(2)], ids=["all", "top_k"])
@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("name", CONVS)
@pytest.mark.usefixtures("float64")
def test_law_1_forms_agree(name, scope, sparsify):
    law_1_forms_agree(make_pyg(name, sparsify), layer_inputs([5, 1, 13, 7], scope), 1e-6)


@pytest.mark.parametrize("sparsify", [None, TopK(2)], ids=["all", "top_k"])
@pytest.mark.parametrize("name", CONVS)
@pytest.mark.usefixtures("float64")
def test_law_4_causality(name, sparsify):
    (graph,) = sequences([9])
    law_4_causality(make_language_model(name, sparsify).eval(), graph)


@pytest.mark.parametrize("sparsify", [None, TopK(2)], ids=["all", "top_k"])
@pytest.mark.parametrize("name", CONVS)
@pytest.mark.usefixtures("float64")
def test_law_5_batch_invariance(name, sparsify):
    model = make_language_model(name, sparsify).eval()
    law_5_batch_invariance(model, sequences([6, 1, 13, 6]), 1e-12)


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("name", EVERY_EDGE)
@pytest.mark.usefixtures("float64")
def test_law_7_every_edge_counts(name, scope):
    layer = make_pyg(name, form="edges")
    x, scope, angles = layer_inputs([5, 3], scope)
    graph = layer.graph(x, scope, angles).to_edges()
    graph.edge_weight = graph.edge_weight.detach().requires_grad_()
    out = layer.propagate(x, graph, scope)
    arriving = graph.edge_index[1].bincount()
    for edge, (source, target) in enumerate(graph.edge_index.T.tolist()):
        # Where GCN and GAT normalise over one or two edges, nothing is left of their weights; and
        # GAT and GATv2 give a node's edge to itself the mean of what is known of its others.
        if arriving[target] < 3 or (source == target and name.startswith("gat")):
            continue
        (gradient,) = torch.autograd.grad(
            out[target].square().sum(), graph.edge_weight, retain_graph=True
        )
        assert (gradient[edge] != 0).all(), f"edge {edge} has no effect on its target"


@pytest.mark.parametrize("name", WEIGHTED)
def test_every_parameter_is_trained(name):
    model = make_language_model(name)
    (graph,) = sequences([12])
    torch.nn.functional.cross_entropy(model(graph), graph.y).backward()
    idle = [key for key, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert not idle


@pytest.mark.usefixtures("float64")
def test_a_weight_for_an_edge_is_the_mean_of_the_heads():
    layer = make_pyg("graph")
    x, scope, angles = layer_inputs([6], CausalScope)
    edges = layer.graph(x, scope, angles).to_edges().joined()
    expected = layer.conv(x, edges.edge_index, edges.edge_weight.mean(1))
    torch.testing.assert_close(layer(x, scope, angles), expected)


@pytest.mark.usefixtures("float64")
def test_attributes_are_the_weights_of_all_heads():
    layer = make_pyg("gatv2", TopK(2))
    assert layer.conv.edge_dim == HEADS
    x, scope, angles = layer_inputs([6], CausalScope)
    edges = layer.graph(x, scope, angles).to_edges().joined()
    assert edges.edge_weight.shape[1] == HEADS
    assert (edges.edge_weight == 0).any()  # a head without an edge that the other has
    expected = layer.conv(x, edges.edge_index, edge_attr=edges.edge_weight)
    torch.testing.assert_close(layer(x, scope, angles), expected)


def test_top_k_leaves_few_edges():
    layer, seen = make_pyg("sage", TopK(2)), []
    layer.conv.register_propagate_forward_pre_hook(lambda _, args: seen.append(args[0]))
    x, scope, angles = layer_inputs([9, 7], CausalScope)
    layer(x, scope, angles)
    (edge_index,) = seen
    assert edge_index.shape[1] <= 2 * HEADS * 16
    assert (edge_index[0] <= edge_index[1]).all()


def test_a_layer_of_pyg_is_any_attentions_conv():
    attention = GraphAttention(
        adjacency=make_adjacency(WIDTH, HEADS),
        conv=GCNConv(WIDTH, WIDTH),
        value=nn.Linear(WIDTH, WIDTH),
        out=nn.Linear(WIDTH, WIDTH),
    )
    x, scope, angles = layer_inputs([5, 3], CausalScope)
    assert attention(x, scope, angles).shape == (8, WIDTH)
    assert not attention.continuable
    before = attention.conv.lin.weight.clone()
    attention.reset_parameters()
    assert not torch.equal(attention.conv.lin.weight, before)


def test_it_is_known_what_a_layer_takes():
    found = {name: takes(make_pyg(name).conv) for name in ("gcn", "graph", "sage", "gatv2", "gine")}
    assert found == {
        "gcn": "edge_weight",
        "graph": "edge_weight",
        "sage": "edge_index",
        "gatv2": "edge_attr",
        "gine": "edge_attr",
    }
    assert takes(GATv2Conv(4, 4)) == "edge_index"  # without edge_dim it has no use for them
    assert takes(make_attention("gin").conv) == "adjacency"


def test_without_weights_it_is_said_once(caplog):
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            make_pyg("sage")
    (record,) = caplog.records
    assert "SAGEConv takes no weights: it is given all pairs of the scope" in record.message
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        make_pyg("sage", TopK(2))
        make_pyg("gcn")
    (record,) = caplog.records
    assert "it is given the edges that attention keeps" in record.message


class Backwards(MessagePassing):
    """Each node hears those after it: as many as leave it."""

    def forward(self, x, edge_index, edge_weight=None):
        return self.propagate(edge_index.flip(0), x=x)


def test_layers_that_look_ahead_are_known_and_refused_in_language_models():
    assert is_causal(GCNConv(WIDTH, WIDTH), WIDTH, HEADS)
    # Its degrees count what leaves a node, which later nodes change.
    cheb = partial(ChebConv, K=2)
    for conv in (cheb, Backwards()):
        attention = PyGAttention(WIDTH, HEADS, adjacency=make_adjacency(WIDTH, HEADS), conv=conv)
        assert not attention.causal
        block = Block(WIDTH, attention=attention)
        with pytest.raises(ValueError, match=r"(ChebConv|Backwards) looks at later nodes: choose"):
            LanguageModel(vocab_size=5, width=WIDTH, heads=HEADS, depth=1, block=block)


@pytest.mark.parametrize(
    ("conv", "message"),
    [
        (GCNConv(WIDTH, 8), r"GCNConv makes \[8\] channels of 16, .* out_channels=16"),
        (GCNConv(8, WIDTH), "GCNConv cannot take nodes of 16 channels and 1 weight for each edge"),
        (GATv2Conv(WIDTH, WIDTH, edge_dim=3), "GATv2Conv cannot take .* edge_dim 2"),
        (GINEConv(ReLUMLP(WIDTH, 8)), "GINEConv cannot take .* and 2 numbers for each edge"),
        (partial(GATv2Conv, heads=3), "3 heads side by side, which must divide the width, 16"),
        (partial(GCNConv, cached=True), "cached=True: it would keep the first graph"),
        (partial(GCNConv, flow="target_to_source"), "attention's edges go from source to target"),
        (partial(GCNConv, hops=2), r"GCNConv needs other arguments, .*hops"),
        (GCN2Conv(WIDTH, 0.5), "GCN2Conv needs x_0, which attention graphs do not have|needs"),
        (GPSConv(WIDTH, None, heads=2), "GPSConv looks beyond the edges"),
    ],
)
def test_what_does_not_fit_is_named_before_training(conv, message):
    with pytest.raises(ValueError, match=message):
        PyGAttention(WIDTH, HEADS, adjacency=make_adjacency(WIDTH, HEADS), conv=conv)


def test_a_known_width_is_compared_in_the_general_layer_too():
    with pytest.raises(ValueError, match=r"GCNConv makes \[8\] channels of 16"):
        GraphAttention(adjacency=make_adjacency(WIDTH, HEADS), conv=GCNConv(WIDTH, 8))


@pytest.mark.usefixtures("float64")
def test_given_edges_go_on_sending_their_messages():
    """In models of graphs the bonds' messages stand beside what PyG's layer makes."""
    graphs = random_graphs()
    batch = Batch.from_data_list(graphs)
    model = make("data=melting_point", "attention=pyg").eval()
    layer, graphs_ = model.blocks[0].attention, model.context(batch)
    x = torch.randn(26, 16)
    graph = layer.graph(x, graphs_.scope)
    sent = graph.weight.unsqueeze(1) * graph.second.sum(x.unflatten(-1, (2, -1)))
    edges = graph.first.to_edges().joined()
    expected = layer.conv(x, edges.edge_index, edges.edge_weight.mean(1)) + sent.flatten(1)
    torch.testing.assert_close(layer.propagate(x, graph, graphs_.scope), expected)
    model(batch).pow(3).sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in model.parameters())


def test_the_command_of_any_layer():
    model = make(
        *("attention=pyg", "model.vocab_size=7", "sparsify=top_k", "sparsify.k=2"),
        "attention.conv._target_=torch_geometric.nn.GraphConv",
        "+attention.conv.aggr=max",
    )
    conv = model.blocks[1].attention.conv
    assert (type(conv), conv.in_channels, conv.out_channels) == (GraphConv, 16, 16)
    assert type(conv.aggr_module).__name__ == "MaxAggregation"
    assert model.blocks[1].attention.adjacency.sparsify.k == 2


class LooksAhead(gia.nn.GINConv):
    """Takes the mean over all edges, those of later nodes too."""

    def message(self, x_j, edge_attr=None):
        return x_j - x_j.mean(0)


class KnowsAll(nn.Module):
    """An adjacency's layer that looks at all nodes."""

    takes_adjacency = True

    def __init__(self):
        super().__init__()
        self.in_channels = 16  # what it is tried with
        self.lin = nn.Linear(16, 16)

    def forward(self, x, adjacency):
        return self.lin(x) + x.mean(0)


@pytest.mark.parametrize(
    "conv", [lambda: LooksAhead(nn.Linear(16, 16)), KnowsAll], ids=["message", "forward"]
)
def test_our_own_layers_that_look_ahead_are_refused_too(conv):
    adjacency = make_adjacency(16, 2)
    block = Block(16, attention=GraphAttention(adjacency=adjacency, conv=conv()))
    with pytest.raises(ValueError, match="looks at later nodes"):
        LanguageModel(vocab_size=9, width=16, heads=2, depth=1, block=block)
