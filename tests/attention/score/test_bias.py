import numpy as np
import pytest
import torch
from layouts import layouts, one_graph
from scipy.sparse.csgraph import shortest_path
from torch_geometric.data import Batch, Data

from gia.attention import (
    AttentionAdjacency,
    BiasedScore,
    CausalScope,
    ConstantScore,
    DistanceBias,
    DotProductScore,
    EdgeBias,
    FullScope,
    HopBias,
    InputGraph,
    Softmax,
)

BONDS = torch.tensor([[0, 1, 3, 1], [1, 0, 2, 0]])  # 1 -> 0 twice


def test_the_distance_counts_by_a_slope_for_each_head():
    bias, scope = DistanceBias(4), FullScope(one_graph(5))
    assert bias.slope.tolist() == [2**-2, 2**-4, 2**-6, 2**-8]
    position = torch.arange(5)
    distance = (position.view(-1, 1) - position).abs()
    expected = -bias.slope.view(4, 1, 1) * distance
    scores = bias(scope)
    for pairs, (values,), back in layouts(scope, expected):
        found = scores.on(pairs).expand(pairs.shape)
        torch.testing.assert_close(back(found), back(values))


@pytest.mark.parametrize("scope", [CausalScope, FullScope])
def test_attributes_of_edges_that_join_the_same_nodes_add_up(scope):
    attr = torch.randn(4, 3)
    scope, bias = scope(one_graph(4), given=InputGraph(BONDS, attr)), EdgeBias(3, 2)
    projected = bias.proj(attr)
    expected = torch.zeros(2, 4, 4)
    for (source, target), number in zip(BONDS.T.tolist(), projected, strict=True):
        expected[:, target, source] += number
    scores = bias(scope)
    for pairs, (values,), back in layouts(scope, expected):
        found = scores.on(pairs).expand(pairs.shape)
        torch.testing.assert_close(back(found), back(values))


def test_one_number_for_each_edge_may_come_without_a_dimension():
    flat = FullScope(one_graph(4), given=InputGraph(BONDS, torch.ones(4)))
    column = FullScope(one_graph(4), given=InputGraph(BONDS, torch.ones(4, 1)))
    bias = EdgeBias(1, 2)
    assert torch.equal(bias(flat).value, bias(column).value)


def test_edges_that_do_not_fit_are_named():
    adjacency = AttentionAdjacency(
        score=BiasedScore(score=DotProductScore(8, 2), biases=[EdgeBias(3, 2)]),
        normalize=Softmax(),
    )
    x, ptr = torch.randn(4, 8), torch.tensor([0, 4])
    for given in (None, InputGraph(BONDS)):
        with pytest.raises(ValueError, match="needs edges with attributes"):
            adjacency(x, CausalScope(ptr, given=given))
    with pytest.raises(ValueError, match="2 numbers for each edge, edge_dim is 3"):
        adjacency(x, CausalScope(ptr, given=InputGraph(BONDS, torch.randn(4, 2))))
    with pytest.raises(ValueError, match="1 numbers for each edge, edge_dim is 3"):
        adjacency(x, CausalScope(ptr, given=InputGraph(BONDS, torch.randn(4))))


def shortest(edge_index, nodes, most):
    """Hops from every source to every target by SciPy, a row for each target."""
    matrix = np.zeros((nodes, nodes))
    matrix[edge_index[0], edge_index[1]] = 1
    hops = shortest_path(matrix, unweighted=True).T
    return torch.from_numpy(np.minimum(hops, most + 1)).long()


@pytest.mark.parametrize("scope", [CausalScope, FullScope])
@pytest.mark.parametrize("max_hops", [1, 2, 8])
def test_the_number_of_hops_chooses_the_bias(scope, max_hops):
    edge_index = torch.tensor([[0, 1, 2, 3, 5, 1, 1], [1, 2, 3, 0, 4, 0, 0]])
    seen = edge_index if scope is FullScope else edge_index[:, edge_index[0] <= edge_index[1]]
    bias = HopBias(2, max_hops=max_hops)
    torch.nn.init.normal_(bias.value)
    expected = bias.value.detach()[shortest(seen, 6, max_hops)].permute(2, 0, 1)
    scores = bias(scope(one_graph(6), given=InputGraph(edge_index)))
    for pairs, (values,), back in layouts(scope(one_graph(6)), expected):
        torch.testing.assert_close(back(scores.on(pairs).detach()), back(values))


def test_hops_are_counted_within_each_graph_of_a_batch():
    torch.manual_seed(0)
    sizes = (3, 40, 1, 9, 14, 9)  # in several buckets, out of their order
    graphs = [Data(edge_index=torch.randint(n, (2, n)), num_nodes=n) for n in sizes]
    batch = Batch.from_data_list(graphs)
    scope = FullScope(batch.ptr, given=InputGraph(batch.edge_index))
    found = scope.hop_counts(4).of_edges(scope.edge_index())
    expected = [shortest(graph.edge_index, graph.num_nodes, 4).flatten() for graph in graphs]
    assert torch.equal(found, torch.cat(expected))
    bias = HopBias(2, max_hops=4).double()
    torch.nn.init.normal_(bias.value)
    for block in scope.whole_blocks(2):
        bias(scope).on(block).masked_fill(~block.allowed, 0).square().sum().backward()
    dense, bias.value.grad = bias.value.grad, None
    bias(scope).on(scope.pairs(2)).square().sum().backward()
    torch.testing.assert_close(dense, bias.value.grad)


def test_a_hop_bias_begins_as_none_and_says_what_it_needs():
    x, ptr = torch.randn(4, 8), torch.tensor([0, 4])
    score = DotProductScore(8, 2)
    plain = AttentionAdjacency(score=score, normalize=Softmax())
    hops = AttentionAdjacency(
        score=BiasedScore(score=score, biases=[HopBias(2)]), normalize=Softmax()
    )
    scope = FullScope(ptr, given=InputGraph(BONDS))
    torch.testing.assert_close(
        hops(x, scope).sum(x.view(4, 2, 4)), plain(x, scope).sum(x.view(4, 2, 4))
    )
    with pytest.raises(ValueError, match="the data has no edge_index"):
        hops(x, FullScope(ptr))
    with pytest.raises(ValueError, match="max_hops must be from 1 to 253, got 0"):
        HopBias(2, max_hops=0)
    for slope in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="slope must be a number of at least 0"):
            HopBias(2, slope=slope)


def test_a_slope_takes_as_much_for_every_hop_at_the_start():
    """A chain 0 - 1 - 2 and a node that nothing joins: it counts as one hop more than the most."""
    bonds = torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]])
    scope = FullScope(torch.tensor([0, 4]), given=InputGraph(bonds))
    score = BiasedScore(score=ConstantScore(8, 2), biases=[HopBias(2, max_hops=4, slope=1.5)])
    adjacency = AttentionAdjacency(score=score, normalize=Softmax())
    for _ in range(2):
        edges = adjacency(torch.randn(4, 8), scope).to_edges().joined()
        source, target = edges.edge_index
        apart = torch.where((source == 3) ^ (target == 3), 5, (source - target).abs())
        weight = torch.zeros(4, 4).index_put((target, source), torch.exp(-1.5 * apart))
        expected = weight / weight.sum(1, keepdim=True)
        torch.testing.assert_close(edges.edge_weight[:, 0], expected[target, source])
        torch.nn.init.normal_(score.biases[0].value)
        score.biases[0].reset_parameters()
    assert not HopBias(2, slope=1.5, ordered=True).value.any()
