import pytest
import torch

from gia.graph import EdgeAdjacency
from gia.graph.edge_sources import EdgeSources

EDGES = torch.tensor([[0, 1, 2, 1], [1, 1, 0, 0]])


def dense(weight, nodes=3):
    matrix = torch.zeros(nodes, nodes)
    matrix.index_put_((EDGES[1], EDGES[0]), weight, accumulate=True)
    return matrix


def test_sum_is_a_matrix_product():
    weight, x = torch.rand(4), torch.randn(3, 5)
    out = EdgeAdjacency(EDGES, weight, num_nodes=3).sum(x)
    torch.testing.assert_close(out, dense(weight) @ x)


def test_heads_have_weights_of_their_own():
    weight, x = torch.rand(4, 2), torch.randn(3, 2, 5)
    out = EdgeAdjacency(EDGES, weight, num_nodes=3).sum(x)
    for head in range(2):
        torch.testing.assert_close(out[:, head], dense(weight[:, head]) @ x[:, head])


def test_a_node_without_neighbours_gets_zero():
    x = -torch.rand(3, 1, 4) - 1
    graph = EdgeAdjacency(EDGES, torch.rand(4), num_nodes=3)
    for out in (graph.sum(x), graph.max(x), graph.min(x), graph.degree(), graph.count()):
        assert not out[2].any()


def test_no_edges_at_all():
    graph = EdgeAdjacency(torch.empty(2, 0, dtype=torch.long), num_nodes=3)
    x = torch.randn(3, 2, 4, requires_grad=True)
    for out in (graph.sum(x), graph.max(x), graph.min(x)):
        assert out.shape == (3, 2, 4)
        assert not out.any()


@pytest.mark.parametrize("weight", [None, torch.empty(0), torch.empty(0, 2)])
def test_no_edges_have_a_degree_of_zero(weight):
    graph = EdgeAdjacency(torch.empty(2, 0, dtype=torch.long), weight, num_nodes=3)
    assert not graph.degree().any()


def test_nan_is_seen_in_the_maximum():
    x = torch.tensor([[1.0], [torch.nan], [3.0]])
    out = EdgeAdjacency(EDGES, num_nodes=3).max(x)
    assert out.isnan().flatten().tolist() == [True, True, False]


def test_degree_of_a_signed_graph_is_absolute():
    weight = torch.tensor([-1.0, 2.0, 3.0, -4.0])
    degree = EdgeAdjacency(EDGES, weight, num_nodes=3).degree()
    assert degree.flatten().tolist() == [7.0, 3.0, 0.0]


def test_incidence_aggregates_messages_at_their_targets():
    weight, x = torch.rand(4), torch.randn(3, 2, 5)
    graph = EdgeAdjacency(EDGES, weight, num_nodes=3)
    messages = x[EDGES[0]]
    for operation in ("sum", "max", "min"):
        by_edge = getattr(graph.incidence(), operation)(messages)
        torch.testing.assert_close(by_edge, getattr(graph, operation)(x))


@pytest.mark.parametrize(
    ("edge_index", "weight", "message"),
    [
        (torch.zeros(3, 4, dtype=torch.long), None, r"shape \[2, E\], got \[3, 4\]"),
        (torch.zeros(2, 4), None, "integers, got torch.float32"),
        (EDGES, torch.rand(3), r"E = 4 edges, got \[3\]"),
        (EDGES, torch.rand(4, 2, 1), r"E = 4 edges, got \[4, 2, 1\]"),
    ],
)
def test_misfits_are_named(edge_index, weight, message):
    with pytest.raises(ValueError, match=message):
        EdgeAdjacency(edge_index, weight, num_nodes=3)


def test_weights_for_other_heads_are_refused():
    graph = EdgeAdjacency(EDGES, torch.rand(4, 3), num_nodes=3)
    with pytest.raises(ValueError, match="weights for 3 heads"):
        graph.sum(torch.randn(3, 2, 5))


@pytest.mark.parametrize("weights", ["none", "one", "of heads", "heads apart"])
@pytest.mark.usefixtures("float64")
def test_what_is_fast_is_what_is_defined(weights):
    edge_index = torch.tensor([[0, 2, 2, 1, 2], [1, 1, 1, 0, 2]])  # parallel edges, too
    head = torch.tensor([0, 1, 0, 1, 1]) if weights == "heads apart" else None
    shape = {"none": None, "one": (5,), "of heads": (5, 2), "heads apart": (5,)}[weights]
    weight = None if shape is None else torch.randn(shape, requires_grad=True)
    x, added = torch.randn(3, 2, 4, requires_grad=True), torch.randn(2, 2, 4, requires_grad=True)
    kind = torch.tensor([0, 1, 1, 0, 0])
    heads = None if head is None else 2

    def graph():
        return EdgeAdjacency(edge_index, weight, num_nodes=3, head=head, num_heads=heads)

    inputs = [part for part in (x, weight) if part is not None]
    for kernel, holder, given, leaves in (
        (EdgeAdjacency._multiply, graph(), (x,), inputs),
        (EdgeSources.gather, graph().sources, (x, added, kind), [x, added]),
        (EdgeSources.gather, graph().sources, (x, added[kind]), [x, added]),
    ):
        outs = [function(holder, *given) for function in (kernel, kernel.definition)]
        totals = [out.sin().sum() for out in outs]
        grads = [torch.autograd.grad(total, leaves, retain_graph=True) for total in totals]
        torch.testing.assert_close(*outs)
        torch.testing.assert_close(*grads)


def test_edges_of_more_sources_than_targets_are_joined_apart():
    edge_index = torch.tensor([[2, 0, 2], [0, 1, 0]])
    graph = EdgeAdjacency(edge_index, torch.tensor([1.0, 2.0, 3.0]), num_nodes=2).joined()
    assert graph.edge_index.tolist() == [[2, 0], [0, 1]]
    assert graph.edge_weight.tolist() == [4.0, 2.0]


def test_edges_without_weights_are_chosen_for_heads():
    graph = EdgeAdjacency(torch.tensor([[0, 1], [1, 0]]), num_nodes=2)
    chosen = graph.select(torch.tensor([[True, False], [True, True]]))
    assert chosen.edge_weight.tolist() == [1, 1, 1]
    assert chosen.head.tolist() == [0, 0, 1]
    with pytest.raises(ValueError, match=r"need weights \[E, H\]"):
        graph.of_heads()
