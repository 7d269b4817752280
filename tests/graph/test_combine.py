import pytest
import torch

from gia.graph import EdgeAdjacency, HopAdjacency, SumAdjacency

FIRST = torch.tensor([[0, 1, 2, 1], [1, 1, 0, 0]])
SECOND = torch.tensor([[0, 2, 0], [1, 1, 2]])


def matrices(graph, nodes=3):
    """The weights of each head, ``[H, N, N]``."""
    edges = graph.to_edges().of_heads()
    out = edges.edge_weight.new_zeros(edges.num_heads, nodes, nodes)
    place = edges.head, edges.edge_index[1], edges.edge_index[0]
    return out.index_put(place, edges.edge_weight, accumulate=True)


def sum_of(apart):
    first = EdgeAdjacency(FIRST, torch.rand(4, 2), num_nodes=3)
    second = EdgeAdjacency(SECOND, num_nodes=3)
    return SumAdjacency(first.of_heads() if apart else first, second, torch.tensor([0.5, 2.0]))


@pytest.mark.parametrize("apart", [True, False])
def test_a_sum_adds_up(apart):
    graph, x = sum_of(apart), torch.randn(3, 2, 4)
    added = torch.zeros(3, 3)
    added[SECOND[1], SECOND[0]] = 1
    expected = matrices(graph.first) + graph.weight.view(2, 1, 1) * added
    torch.testing.assert_close(matrices(graph), expected)
    out = torch.einsum("hij,jhd->ihd", expected, x)
    torch.testing.assert_close(graph.sum(x), out)
    torch.testing.assert_close(graph.to_edges().sum(x), out)
    torch.testing.assert_close(graph.degree(), expected.sum(-1).T)
    assert graph.count()[:, 0].tolist() == [2, 4, 1]  # 0 -> 1 in both: two edges
    assert torch.equal(graph.count().expand(3, 2), graph.to_edges().count().expand(3, 2))


@pytest.mark.parametrize("apart", [True, False])
def test_the_largest_is_of_either_graph_and_the_last_of_ties(apart):
    graph = sum_of(apart)
    # Node 1 sees 0 and 1 in the first graph, 0 and 2 in the second; node 2 sees 0 in the second.
    for values, winners in (
        ([1.0, 1.0, 1.0], [2, 2, 0]),
        ([1.0, 1.0, 0.0], [1, 1, 0]),
        ([2.0, 1.0, 1.0], [2, 0, 0]),
        ([0.0, 3.0, 3.0], [2, 2, 0]),
    ):
        x = torch.tensor(values).view(3, 1, 1).expand(3, 2, 1).clone().requires_grad_()
        assert graph.argmax(x)[:, 0, 0].tolist() == winners
        assert torch.equal(graph.argmax(x), graph.to_edges().argmax(x))
        graph.max(x).sum().backward()
        counted = torch.tensor(winners).bincount(minlength=3).float()
        assert torch.equal(x.grad[:, 0, 0], counted)


@pytest.mark.parametrize("hops", [1, 2, 3])
@pytest.mark.usefixtures("float64")
def test_hops_are_a_power_of_the_matrix(hops):
    weight = torch.randn(4, 2, requires_grad=True)
    graph = HopAdjacency(EdgeAdjacency(FIRST, weight, num_nodes=3), hops)
    x = torch.randn(3, 2, 4)
    expected = torch.linalg.matrix_power(matrices(graph.adjacency), hops)
    torch.testing.assert_close(matrices(graph), expected)
    results = []
    for out in (graph.sum(x), graph.to_edges().sum(x)):
        results.append((out, *torch.autograd.grad(out.square().sum(), weight, retain_graph=True)))
    for found, written_out in zip(*results, strict=True):
        torch.testing.assert_close(found, written_out)
    torch.testing.assert_close(results[0][0], torch.einsum("hij,jhd->ihd", expected, x))
    torch.testing.assert_close(graph.degree(), expected.abs().sum(-1).T)


@pytest.mark.usefixtures("float64")
def test_hops_over_a_sum_take_each_way_once():
    graph = HopAdjacency(sum_of(apart=False), 2)
    expected = torch.linalg.matrix_power(matrices(graph.adjacency), 2)
    torch.testing.assert_close(matrices(graph), expected)
    edges = graph.to_edges()
    key = (edges.edge_index[1] * 3 + edges.edge_index[0]) * 2 + edges.head
    assert key.unique().numel() == key.numel()


def test_no_hop_is_no_graph():
    with pytest.raises(ValueError, match="hops must be at least 1, got 0"):
        HopAdjacency(EdgeAdjacency(FIRST, num_nodes=3), 0)


@pytest.mark.parametrize("weight", [None, torch.rand(4)])
def test_graphs_of_no_heads_are_added_and_multiplied_too(weight):
    plain = EdgeAdjacency(FIRST, weight, num_nodes=3)
    matrix = torch.zeros(3, 3)
    matrix[FIRST[1], FIRST[0]] = torch.ones(4) if weight is None else weight
    x = torch.randn(3, 2, 4)
    total = SumAdjacency(plain, EdgeAdjacency(SECOND, num_nodes=3), torch.tensor([0.5, 2.0]))
    torch.testing.assert_close(total.to_edges().sum(x), total.sum(x))
    square = HopAdjacency(plain, 2)
    expected = torch.einsum("ij,jhd->ihd", matrix @ matrix, x)
    torch.testing.assert_close(square.sum(x), expected)
    torch.testing.assert_close(square.to_edges().sum(x), expected)
