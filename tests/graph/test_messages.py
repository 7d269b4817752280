"""Given edges with messages of their own: forms agree, and GINE's messages are PyG's."""

import pytest
import torch
from laws import assert_same, make_adjacency, outputs_and_gradients
from torch import nn
from torch_geometric.nn import GINEConv

from gia.attention import (
    AddInputGraph,
    AttentionAdjacency,
    CausalScope,
    DotProductScore,
    FullScope,
    InputGraph,
    NeighborScope,
    Softmax,
)
from gia.graph import EdgeAdjacency, HopAdjacency, MessageAdjacency, SumAdjacency
from gia.nn import GINAttention, GINConv, PNAAttention, PNAConv

PTR = torch.tensor([0, 3, 7, 8])
BONDS = torch.tensor([[0, 1, 2, 5, 6, 4, 3], [1, 0, 1, 4, 5, 5, 6]])
TWICE = torch.cat([BONDS, BONDS[:, :3]], dim=1)
OPERATIONS = ["sum", "max", "min", "squares", "degree", "count"]
pytestmark = pytest.mark.usefixtures("float64")


def given_graph(**kwargs):
    graph = AddInputGraph(2, edge_dim=3, channels=8, **kwargs)
    nn.init.normal_(graph.raw_weight)
    return graph


def layer(kind, form="auto", **kwargs):
    adjacency = AttentionAdjacency(
        score=DotProductScore(8, 2), normalize=Softmax(), given=given_graph(), form=form
    )
    return kind(8, 2, adjacency=adjacency, **kwargs)


def dense_sums(graph, given, bonds, attr, x):
    """What the sum must be, written out edge by edge."""
    total = graph.first.sum(x)
    for (source, target), number in zip(bonds.T.tolist(), attr, strict=True):
        message = (x[source] + given.lin(number).view(2, 4)).relu()
        total = total.index_add(0, torch.tensor([target]), (given.weight[:, None] * message)[None])
    return total


@pytest.mark.parametrize("scope", [FullScope, NeighborScope])
def test_the_sum_is_its_definition(scope):
    given, attr, x = given_graph(), torch.randn(7, 3), torch.randn(8, 2, 4)
    scope = scope(PTR, given=InputGraph(BONDS, attr))
    graph = given(make_adjacency(8, 2)(torch.randn(8, 8), scope), scope)
    torch.testing.assert_close(graph.sum(x), dense_sums(graph, given, BONDS, attr, x))


@pytest.mark.parametrize("scope", [FullScope, NeighborScope])
def test_edges_that_join_the_same_nodes_send_a_message_each(scope):
    given, attr, x = given_graph(), torch.randn(10, 3), torch.randn(8, 2, 4)
    scope = scope(PTR, given=InputGraph(TWICE, attr))
    graph = given(make_adjacency(8, 2)(torch.randn(8, 8), scope), scope)
    torch.testing.assert_close(graph.sum(x), dense_sums(graph, given, TWICE, attr, x))


def test_under_a_causal_scope_only_what_was_before():
    given, attr, x = given_graph(), torch.randn(7, 3), torch.randn(8, 2, 4)
    scope = CausalScope(PTR, given=InputGraph(BONDS, attr))
    graph = given(make_adjacency(8, 2)(torch.randn(8, 8), scope), scope)
    past = BONDS[0] <= BONDS[1]
    expected = dense_sums(graph, given, BONDS[:, past], attr[past], x)
    torch.testing.assert_close(graph.sum(x), expected)


@pytest.mark.parametrize("bonds", [BONDS, TWICE], ids=["simple", "multi"])
@pytest.mark.parametrize("scope", [FullScope, CausalScope])
def test_kinds_of_edges_are_their_attributes(scope, bonds):
    """A row for each kind and a row for each edge: the same outputs and gradients."""
    given, rows, x = given_graph(), torch.randn(4, 3, requires_grad=True), torch.randn(8, 2, 4)
    kind = torch.randint(0, 4, (bonds.size(1),))
    results = []
    for edges in (InputGraph(bonds, rows, kind), InputGraph(bonds, rows[kind])):
        whole = scope(PTR, given=edges)
        graph = given(make_adjacency(8, 2)(torch.zeros(8, 8), whole), whole)
        out = torch.cat([graph.sum(x), graph.max(x), *graph.moments(x)], dim=-1)
        inputs = (rows, *given.parameters())
        results.append((out, *torch.autograd.grad(out.square().sum(), inputs)))
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("apart", [True, False])
def test_max_min_and_moments_run_over_all_that_is_sent(operation, apart):
    """Against both graphs written out, and a source node of its own for each edge."""
    first = torch.tensor([[0, 1, 2, 1], [1, 1, 0, 0]])
    second = torch.tensor([[0, 2, 0], [1, 1, 2]])
    x = torch.randn(4, 2, 3, requires_grad=True)
    encoded = torch.randn(3, 2, 3, requires_grad=True)
    weight = torch.tensor([0.5, 2.0])
    attention = EdgeAdjacency(first, torch.rand(4, 2), num_nodes=4)
    messages = MessageAdjacency(EdgeAdjacency(second, num_nodes=4), encoded)
    graph = SumAdjacency(attention.of_heads() if apart else attention, messages, weight)
    written = graph.to_edges().incidence()
    sent = torch.cat([x[first[0]], (x[second[0]] + encoded).relu()])
    if apart:
        sent = torch.cat([x[first[0].repeat_interleave(2)], sent[4:].repeat_interleave(2, dim=0)])
    results = []
    for found, features in ((graph, x), (written, sent)):
        call = getattr(found, operation)
        out = call() if operation in ("degree", "count") else call(features)
        if operation in ("degree", "count"):
            results.append((out.expand(4, 2),))
        else:
            grads = torch.autograd.grad(out.square().sum(), (x, encoded), allow_unused=True)
            results.append((out, *grads))
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other)
    if operation == "max":
        assert (graph.argmax(x)[3] == -1).all()  # a node without neighbours
        assert torch.equal(graph.max(x)[3], torch.zeros(2, 3))


def test_of_ties_the_highest_source_is_taken_and_the_message_of_the_same():
    attention = EdgeAdjacency(torch.tensor([[0, 2], [0, 0]]), torch.ones(2, 1), num_nodes=3)
    for source, winner in ((0, "x"), (1, "x"), (2, "message")):
        x = torch.ones(3, 1, 1, requires_grad=True)
        encoded = torch.zeros(1, 1, 1, requires_grad=True)
        edges = EdgeAdjacency(torch.tensor([[source], [0]]), num_nodes=3)
        graph = SumAdjacency(attention, MessageAdjacency(edges, encoded), torch.ones(1))
        for operation in (graph.max, graph.min):
            out = operation(x)[0].sum()
            (grad,) = torch.autograd.grad(out, encoded, retain_graph=True)
            assert bool(grad.any()) == (winner == "message")
        assert graph.argmax(x)[0, 0, 0] == 2


@pytest.mark.parametrize("kind", [GINAttention, PNAAttention])
@pytest.mark.parametrize("scope", [FullScope, CausalScope])
def test_law_1_forms_agree(kind, scope):
    attention, x = layer(kind), torch.randn(8, 8)
    whole = scope(PTR, given=InputGraph(TWICE, torch.randn(10, 3)))
    results = []
    for form in ("auto", "dense", "edges"):
        attention.adjacency.form = form
        results.append(outputs_and_gradients(attention, x, lambda x: attention(x, whole)))
    assert {"adjacency.given.lin.weight", "adjacency.given.raw_weight"} <= results[0].keys()
    for result in results[1:]:
        assert_same(results[0], result, 1e-9)


@pytest.mark.parametrize("given_eps", [0.0, 0.3])
def test_law_2_the_messages_are_pygs(given_eps):
    """Without attention's part and with weight 1 the layer is PyG's GINEConv."""
    x, attr = torch.randn(8, 8), torch.randn(7, 3)
    network = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 8))
    theirs = GINEConv(network, eps=given_eps, edge_dim=3)
    given = AddInputGraph(2, edge_dim=3, channels=8)
    given.lin.load_state_dict(theirs.lin.state_dict())
    ours = GINConv(network, eps=given_eps, heads=2)
    scope = FullScope(PTR, given=InputGraph(BONDS, attr))
    nothing = EdgeAdjacency(torch.empty(2, 0, dtype=torch.long), torch.empty(0, 2), num_nodes=8)
    results = []
    for call in (
        lambda x: ours(x, given(nothing, scope)),
        lambda x: theirs(x, BONDS, attr),
    ):
        network.zero_grad(), given.zero_grad(), theirs.zero_grad()
        found = outputs_and_gradients(network, x, call)
        lin = given.lin if not results else theirs.lin
        results.append(found | {"lin.weight": lin.weight.grad, "lin.bias": lin.bias.grad})
    assert_same(*results, 1e-12)


def test_law_7_every_given_edge_counts():
    attention, x = layer(GINAttention), torch.randn(8, 8)
    attr = torch.randn(7, 3, requires_grad=True)
    out = attention(x, FullScope(PTR, given=InputGraph(BONDS, attr)))
    for edge, (_, target) in enumerate(BONDS.T.tolist()):
        (grad,) = torch.autograd.grad(out[target].square().sum(), attr, retain_graph=True)
        assert grad[edge].any(), f"edge {edge} has no effect on its target"
        assert not grad[BONDS[1] != target].any(), "an edge has an effect on another node"


def test_second_derivatives_are_right():
    given, attr = given_graph(), torch.randn(7, 3, requires_grad=True)
    x = torch.randn(8, 2, 4, requires_grad=True)
    nothing = EdgeAdjacency(torch.empty(2, 0, dtype=torch.long), torch.empty(0, 2), num_nodes=8)

    def energy(x, attr):
        scope = FullScope(PTR, given=InputGraph(BONDS, attr))
        return given(nothing, scope).sum(x).square()

    assert torch.autograd.gradgradcheck(energy, (x, attr))


def test_one_scope_serves_several_backward_passes_with_and_without_gradients():
    attr = torch.randn(10, 3, requires_grad=True)
    scope, attention = FullScope(PTR, given=InputGraph(TWICE, attr)), layer(GINAttention)
    x = torch.randn(8, 8)
    with torch.no_grad():
        before = attention(x, scope)
    grads = []
    for _ in range(2):
        out = attention(x, scope)
        torch.testing.assert_close(out, before)
        grads.append(torch.autograd.grad(out.square().sum(), attr)[0])
    assert grads[0].any()
    assert torch.equal(*grads)


@pytest.mark.parametrize("scope", [FullScope, CausalScope])
def test_no_edges_add_nothing(scope):
    none = InputGraph(torch.empty(2, 0, dtype=torch.long), torch.empty(0, 3))
    for kind in (None, torch.empty(0, dtype=torch.long)):
        whole = scope(PTR, given=InputGraph(none.edge_index, none.edge_attr, kind))
        adjacency, x = make_adjacency(8, 2)(torch.randn(8, 8), whole), torch.randn(8, 2, 4)
        graph = given_graph()(adjacency, whole)
        torch.testing.assert_close(graph.sum(x), adjacency.sum(x))
        torch.testing.assert_close(graph.max(x), adjacency.max(x))
        torch.testing.assert_close(graph.min(x), adjacency.min(x))


def test_what_does_not_fit_is_named():
    with pytest.raises(ValueError, match="channels must be a multiple of the 2 heads, got 7"):
        AddInputGraph(2, edge_dim=3, channels=7)
    with pytest.raises(ValueError, match="channels must be a multiple of the 2 heads, got None"):
        AddInputGraph(2, edge_dim=3)
    graph, x = given_graph(), torch.randn(8, 8)
    for given, message in (
        (None, "the data has no edge_index"),
        (InputGraph(BONDS), "take their attributes, but the data has no edge_attr"),
        (InputGraph(BONDS, torch.randn(7, 2)), "2 numbers for each edge, edge_dim is 3"),
    ):
        scope = FullScope(PTR, given=given)
        with pytest.raises(ValueError, match=message):
            graph(make_adjacency(8, 2)(x, scope), scope)
    scope = FullScope(PTR, given=InputGraph(BONDS, torch.randn(7, 3)))
    total = graph(make_adjacency(8, 2)(x, scope), scope)
    with pytest.raises(ValueError, match=r"\[2, 4\] heads and channels, .* have \[2, 6\]"):
        total.sum(torch.randn(8, 2, 6))
    with pytest.raises(ValueError, match="has no power, got hops=2"):
        HopAdjacency(total, 2)
    with pytest.raises(ValueError, match="take one hop, got hops=2"):
        AttentionAdjacency(score=DotProductScore(8, 2), normalize=Softmax(), given=graph, hops=2)
    with pytest.raises(
        ValueError, match=r"must have shape \[E, H, d\] with E = 7, got \[6, 2, 4\]"
    ):
        MessageAdjacency(EdgeAdjacency(BONDS, num_nodes=8), torch.randn(6, 2, 4))
    with pytest.raises(ValueError, match="kind has 2 rows for 7 edges"):
        FullScope(PTR, given=InputGraph(BONDS, torch.randn(7, 3), torch.zeros(2, dtype=torch.long)))


def test_layers_that_make_a_message_for_each_edge_are_refused():
    scope = FullScope(PTR, given=InputGraph(BONDS, torch.randn(7, 3)))
    x = torch.randn(8, 8)
    graph = given_graph()(make_adjacency(8, 2)(x, scope), scope)
    token = PNAConv(8, 8, ["token_max"], ["identity"], towers=2, pre_layers=0, divide_input=True)
    pre_layers = PNAConv(8, 8, ["sum"], ["identity"], towers=2)
    for conv in (pre_layers, token):
        with pytest.raises(ValueError, match="given edges send messages of their own"):
            conv(x, graph)
    with pytest.raises(ValueError, match="given edges send messages of their own"):
        layer(GINAttention, edge_dim=3)(x, scope)
