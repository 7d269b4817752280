import pytest
import torch
from laws import make_adjacency

from gia.attention import (
    AddInputGraph,
    AttentionAdjacency,
    CausalScope,
    DotProductScore,
    FullScope,
    InputGraph,
    Softmax,
)

PTR = torch.tensor([0, 3, 7])
BONDS = torch.tensor([[0, 1, 0, 5, 6], [1, 0, 1, 4, 5]])  # 0 -> 1 twice


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        (FullScope, [(1, 0), (0, 1), (0, 1), (5, 4), (6, 5)]),
        (CausalScope, [(0, 1), (0, 1)]),
    ],
)
def test_the_data_s_edges_are_added_each_and_never_from_the_future(scope, expected):
    graph = AddInputGraph(2)
    total = graph(
        make_adjacency(8, 2)(torch.randn(7, 8), scope(PTR)), scope(PTR, given=InputGraph(BONDS))
    )
    assert [tuple(pair) for pair in total.second.edge_index.T.tolist()] == expected


@pytest.mark.parametrize("form", ["auto", "dense", "edges"])
def test_weights_start_as_told_stay_positive_and_are_trained(form):
    given = AddInputGraph(2, weight=0.3)
    torch.testing.assert_close(given.weight, torch.full((2,), 0.3))
    adjacency = AttentionAdjacency(
        score=DotProductScore(8, 2), normalize=Softmax(), given=given, form=form
    )
    scope, x = FullScope(PTR, given=InputGraph(BONDS)), torch.randn(7, 8)
    adjacency(x, scope).sum(torch.randn(7, 2, 4)).square().sum().backward()
    assert (given.raw_weight.grad != 0).all()
    torch.nn.init.constant_(given.raw_weight, -20.0)
    assert (given.weight > 0).all()
    given.reset_parameters()
    torch.testing.assert_close(given.weight, torch.full((2,), 0.3))


def test_no_edges_add_nothing():
    scope = CausalScope(PTR, given=InputGraph(torch.empty(2, 0, dtype=torch.long)))
    adjacency, x = make_adjacency(8, 2), torch.randn(7, 8)
    plain = adjacency(x, scope).sum(x.view(7, 2, 4))
    adjacency.given = AddInputGraph(2)
    assert torch.equal(adjacency(x, scope).sum(x.view(7, 2, 4)), plain)


@pytest.mark.parametrize("weight", [0, -1.0, float("nan")])
def test_impossible_weights_are_named(weight):
    with pytest.raises(ValueError, match=f"weight must be above 0, got {weight}"):
        AddInputGraph(2, weight=weight)


def test_data_without_edges_is_named():
    adjacency = make_adjacency(8, 2)
    adjacency.given = AddInputGraph(2)
    with pytest.raises(ValueError, match="to be added, but the data has no edge_index"):
        adjacency(torch.randn(7, 8), CausalScope(PTR))
