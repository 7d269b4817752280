"""Multigraphs: parallel edges stay parallel for messages, and add up where a pair is looked up."""

import csv
import re
from functools import partial
from itertools import islice, product

import pytest
import torch
from laws import assert_same, make_adjacency, outputs_and_gradients
from torch import nn
from torch_geometric.nn import GINConv as PyGGINConv
from torch_geometric.nn import GINEConv as PyGGINEConv

from gia.attention import (
    AddInputGraph,
    AttentionAdjacency,
    BiasedScore,
    CausalScope,
    DotProductScore,
    EdgeBias,
    FullScope,
    InputGraph,
    NeighborScope,
    Softmax,
)
from gia.attention.scope.given import InputEdges
from gia.graph import EdgeAdjacency, MessageAdjacency
from gia.nn import GINAttention, GINConv, GINEConv

NODES, CHANNELS, EDGE_DIM = 9, 8, 3
PTR = torch.tensor([0, 4, NODES])
pytestmark = pytest.mark.usefixtures("float64")


def multigraph(seed, edges=50):
    """Edges in two graphs of few nodes: loops, and up to several edges between two nodes."""
    torch.manual_seed(seed)
    graph = torch.randint(0, 2, (edges,))
    first, size = PTR[graph], PTR.diff()[graph]
    ends = (torch.rand(2, edges) * size).long() + first
    assert torch.unique(ends, dim=1).size(1) < edges
    return ends, torch.randn(edges, EDGE_DIM, requires_grad=True)


def network():
    return nn.Sequential(nn.Linear(CHANNELS, 16), nn.Tanh(), nn.Linear(16, 6))


def results_of(conv, x, edge_attr, call):
    edge_attr.grad = None
    found = outputs_and_gradients(conv, x, call)
    return found | {"edge_attr": edge_attr.grad.clone()}


def no_attention(heads):
    none = torch.empty(2, 0, dtype=torch.long)
    return EdgeAdjacency(none, torch.empty(0, heads), num_nodes=NODES)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("aggr", ["sum", "mean", "max"])
def test_our_gine_is_pygs(seed, aggr):
    edges, edge_attr = multigraph(seed)
    x, theirs = torch.randn(NODES, CHANNELS), PyGGINEConv(network(), 0.3, True, 3, aggr=aggr)
    expected = results_of(theirs, x, edge_attr, lambda x: theirs(x, edges, edge_attr))
    by_keyword = GINConv(network(), 0.3, True, edge_dim=EDGE_DIM, aggr=aggr)
    by_name = GINEConv(network(), 0.3, True, EDGE_DIM, aggr=aggr)
    for conv in (by_keyword, by_name):
        conv.load_state_dict(theirs.state_dict())
        for graph in (edges, EdgeAdjacency(edges, num_nodes=NODES)):

            def call(x, conv=conv, graph=graph):
                return conv(x, graph, edge_attr=edge_attr)

            assert_same(expected, results_of(conv, x, edge_attr, call), 1e-12)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("heads", [1, 2])
@pytest.mark.parametrize("by_kind", [False, True])
def test_the_messages_of_the_input_graph_are_pygs(seed, heads, by_kind):
    """The term of ``given=messages``, with weight 1 and without attention's part."""
    edges, edge_attr = multigraph(seed)
    kind = torch.randint(0, 4, (edges.size(1),)) if by_kind else None
    rows = torch.randn(4, EDGE_DIM, requires_grad=True) if by_kind else edge_attr
    x, shared = torch.randn(NODES, CHANNELS), network()
    theirs = PyGGINEConv(shared, 0.3, edge_dim=EDGE_DIM)
    ours = GINConv(shared, 0.3, heads=heads)
    term = AddInputGraph(heads, edge_dim=EDGE_DIM, channels=CHANNELS)
    term.lin.load_state_dict(theirs.lin.state_dict())
    results = []
    for lin, call in (
        (theirs.lin, lambda x: theirs(x, edges, rows if kind is None else rows[kind])),
        (
            term.lin,
            lambda x: ours(
                x, term(no_attention(heads), FullScope(PTR, given=InputGraph(edges, rows, kind)))
            ),
        ),
    ):
        lin.zero_grad()
        found = results_of(shared, x, rows, call)
        results.append(found | {"weight": lin.weight.grad.clone(), "bias": lin.bias.grad.clone()})
    assert_same(*results, 1e-12)


@pytest.mark.parametrize("scope", [FullScope, CausalScope, NeighborScope])
def test_the_input_graph_itself_is_pygs(scope):
    edges, _ = multigraph(0)
    x, shared = torch.randn(NODES, CHANNELS), network()
    theirs, ours = PyGGINConv(shared, 0.3), GINConv(shared, 0.3, heads=2)
    graph = AddInputGraph(2)(no_attention(2), scope(PTR, given=InputGraph(edges)))
    kept = edges[:, edges[0] <= edges[1]] if scope is CausalScope else edges
    torch.testing.assert_close(ours(x, graph), theirs(x, kept))
    assert torch.equal(graph.count()[:, 0], torch.bincount(kept[1], minlength=NODES).double())


@pytest.mark.parametrize("form", ["auto", "dense", "edges"])
@pytest.mark.parametrize("scope", [FullScope, NeighborScope])
def test_attention_with_attributes_sends_a_message_for_each_edge(scope, form):
    """Between nodes that several edges join, each with attention's weight."""
    edges, edge_attr = multigraph(1)
    scope, x = scope(PTR, given=InputGraph(edges, edge_attr)), torch.randn(NODES, CHANNELS)
    adjacency = make_adjacency(CHANNELS, 2, form)
    layer = GINAttention(CHANNELS, 2, adjacency=adjacency, edge_dim=EDGE_DIM, eps=0.2)
    pairs = adjacency(x, scope).to_edges().joined()
    total = torch.zeros(NODES, 2, CHANNELS // 2)
    lin = layer.conv.lin
    joined = set(map(tuple, edges.T.tolist()))
    for (source, target), weight in zip(
        pairs.edge_index.T.tolist(), pairs.edge_weight, strict=True
    ):
        same = (edges == torch.tensor([[source], [target]])).all(0)
        known = edge_attr[same] if (source, target) in joined else torch.zeros(1, EDGE_DIM)
        message = (x[source] + lin(known)).relu().sum(0).view(2, -1)
        total[target] += weight.unsqueeze(1) * message
    expected = layer.conv.nn((1.2 * x) + total.flatten(1))
    torch.testing.assert_close(layer(x, scope), expected)
    for gradient in torch.autograd.grad(layer(x, scope).square().sum(), edge_attr)[0]:
        assert gradient.any()


@pytest.mark.parametrize("form", ["auto", "dense", "edges"])
def test_a_bias_of_a_pair_is_that_of_the_sum_of_its_edges(form):
    edges, edge_attr = multigraph(2)
    single, place = torch.unique(edges, dim=1, return_inverse=True)
    added = torch.zeros(single.size(1), EDGE_DIM).index_add(0, place, edge_attr)
    score = BiasedScore(score=DotProductScore(CHANNELS, 2), biases=[EdgeBias(EDGE_DIM, 2)])
    adjacency = AttentionAdjacency(score=score, normalize=Softmax(), form=form)
    x, features = torch.randn(NODES, CHANNELS), torch.randn(NODES, 2, 4)
    results = []
    for graph in (InputGraph(edges, edge_attr), InputGraph(single, added)):
        out = adjacency(x, FullScope(PTR, given=graph)).sum(features)
        results.append((out, *torch.autograd.grad(out.square().sum(), edge_attr)))
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("causal", [False, True])
def test_what_is_known_of_edges_follows_them(causal):
    edges, edge_attr = multigraph(3)
    kind = torch.randint(0, 4, (edges.size(1),))
    kept = edges[0] <= edges[1] if causal else torch.ones(edges.size(1), dtype=torch.bool)
    by_edge = InputEdges(InputGraph(edges, edge_attr), NODES, causal=causal)
    by_kind = InputEdges(InputGraph(edges, edge_attr[:4], kind), NODES, causal=causal)
    for found, known in ((by_edge, edge_attr), (by_kind, edge_attr[:4][kind])):
        assert found.edge_index.size(1) == int(kept.sum())
        rows = torch.cat([found.edge_index.T, found.attr(torch.float64)], dim=1)
        wanted = torch.cat([edges.T, known], dim=1)[kept]
        torch.testing.assert_close(torch.unique(rows, dim=0), torch.unique(wanted, dim=0))
        assert (found.key[1:] >= found.key[:-1]).all()
    assert by_kind.attr_of_kinds(torch.float64).size(0) == 4  # also where edges are parallel


def test_parallel_messages_by_kind_are_those_by_edge():
    edges, _ = multigraph(4)
    found = InputEdges(InputGraph(edges, torch.randn(4, 3), torch.arange(50) % 4), NODES)
    encoded, x = torch.randn(4, 2, 4), torch.randn(NODES, 2, 4)
    by_kind = MessageAdjacency(found.graph, encoded, found.kind)
    by_edge = MessageAdjacency(found.graph, encoded[found.kind])
    for operation in ("sum", "max", "min", "squares"):
        torch.testing.assert_close(getattr(by_kind, operation)(x), getattr(by_edge, operation)(x))


# Crystals ----------------------------------------------------------------------------------------


def crystal(repeats, cutoff=1.3):
    """Two kinds of atoms, a cubic cell of length 1 repeated along each side: edges up to a cutoff.

    Returns the kind of each atom, the edges, and the length of each edge.
    """
    cells = torch.tensor(list(product(range(repeats), repeat=3)), dtype=torch.get_default_dtype())
    inside = torch.tensor([[0.0, 0.0, 0.0], [0.42, 0.5, 0.5]])  # off the centre: lengths differ
    place = (cells.unsqueeze(1) + inside).view(-1, 3)
    kind = torch.arange(2).repeat(len(cells))
    sources, targets, lengths = [], [], []
    for shift in product((-2, -1, 0, 1, 2), repeat=3):
        image = place + repeats * torch.tensor(shift, dtype=place.dtype)
        distance = torch.cdist(place, image)  # from the atom to the image of another
        target, source = ((distance < cutoff) & (distance > 1e-9)).nonzero().unbind(1)
        sources.append(source), targets.append(target)
        lengths.append(distance[target, source])
    return kind, torch.stack([torch.cat(sources), torch.cat(targets)]), torch.cat(lengths)


@pytest.mark.parametrize("layer", ["gine", "messages", "pygs"])
def test_a_cell_of_two_atoms_is_the_crystal(layer):
    """In the small cell edges to several images of an atom are parallel; in a large one none are.

    The atoms must not notice how large the cell is that somebody wrote down.
    """
    embedding, shared = nn.Embedding(2, CHANNELS), network()
    gine = (PyGGINEConv if layer == "pygs" else GINEConv)(shared, 0.3, edge_dim=EDGE_DIM)
    term = AddInputGraph(2, edge_dim=EDGE_DIM, channels=CHANNELS)
    conv = GINConv(shared, 0.3, heads=2)
    centre, outputs = torch.linspace(0.7, 1.3, EDGE_DIM), []
    for repeats in (1, 3):
        kind, edges, length = crystal(repeats)
        is_parallel = torch.unique(edges, dim=1).size(1) < edges.size(1)
        assert is_parallel == (repeats == 1)
        edge_attr = (-20 * (length.unsqueeze(1) - centre).square()).exp()
        x = embedding(kind)
        if layer == "messages":
            nodes = kind.numel()
            none = torch.empty(2, 0, dtype=torch.long)
            attention = EdgeAdjacency(none, torch.empty(0, 2), num_nodes=nodes)
            scope = FullScope(torch.tensor([0, nodes]), given=InputGraph(edges, edge_attr))
            out = conv(x, term(attention, scope))
        else:
            out = gine(x, edges, edge_attr)
        outputs.append(out)
        torch.testing.assert_close(out, out[:2].repeat(repeats**3, 1))
    torch.testing.assert_close(outputs[0], outputs[1][:2])
    assert not torch.allclose(outputs[0][0], outputs[0][1])


def perovskites(shared_data, number):
    """Real cells of five atoms: the kind of each atom, edges up to a cutoff, and their lengths."""
    with (shared_data / "materials" / "perov5" / "test.csv").open(newline="") as file:
        rows = [row["cif"] for row in islice(csv.DictReader(file), number)]
    for cif in rows:
        size = [float(re.search(rf"_cell_length_{side} +(\S+)", cif)[1]) for side in "abc"]
        assert re.findall(r"_cell_angle_\w+ +(\S+)", cif) == ["90.00000000"] * 3
        atoms = re.findall(r"^ +([A-Z][a-z]?) +\w+ +1 +(\S+) +(\S+) +(\S+) +1$", cif, re.MULTILINE)
        cell = torch.tensor(size)
        place = torch.tensor([[float(part) for part in atom[1:]] for atom in atoms]) % 1 * cell
        shifts = torch.tensor(list(product((-1, 0, 1), repeat=3))) * cell
        distance = (place.view(-1, 1, 1, 3) - place.view(1, -1, 1, 3) - shifts).norm(dim=-1)
        target, source, image = ((distance < 4.1) & (distance > 1e-6)).nonzero().unbind(1)
        names = sorted({atom[0] for atom in atoms})
        kind = torch.tensor([names.index(atom[0]) for atom in atoms])
        yield kind, torch.stack([source, target]), distance[target, source, image]


def test_real_crystals_are_pygs(shared_data):
    embedding, theirs = nn.Embedding(5, CHANNELS), PyGGINEConv(network(), 0.3, True, EDGE_DIM)
    ours, heads = GINEConv(network(), 0.3, True, EDGE_DIM), GINConv(theirs.nn, 0.3, heads=2)
    ours.load_state_dict(theirs.state_dict())
    term = AddInputGraph(2, edge_dim=EDGE_DIM, channels=CHANNELS)
    term.lin.load_state_dict(theirs.lin.state_dict())
    for kind, edges, length in perovskites(shared_data, 8):
        assert kind.numel() == 5
        assert torch.unique(edges, dim=1).size(1) < edges.size(1)
        edge_attr = (-4 * (length.unsqueeze(1) - torch.linspace(2, 4, EDGE_DIM)).square()).exp()
        x = embedding(kind).detach()
        results = []
        for conv in (theirs, ours):
            call = partial(conv, edge_index=edges, edge_attr=edge_attr)
            results.append(outputs_and_gradients(conv, x, call))
        assert_same(*results, 1e-12)
        none = EdgeAdjacency(torch.empty(2, 0, dtype=torch.long), torch.empty(0, 2), num_nodes=5)
        scope = FullScope(torch.tensor([0, 5]), given=InputGraph(edges, edge_attr))
        torch.testing.assert_close(heads(x, term(none, scope)), results[0]["output"])
