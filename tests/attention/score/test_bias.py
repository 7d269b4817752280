import pytest
import torch
from layouts import layouts, one_graph

from gia.attention import (
    AttentionAdjacency,
    BiasedScore,
    CausalScope,
    DistanceBias,
    DotProductScore,
    EdgeBias,
    FullScope,
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
