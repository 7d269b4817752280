import pytest
import torch
from layouts import layouts, one_graph

from gia.attention import (
    AttentionAdjacency,
    CausalScope,
    Differential,
    DotProductScore,
    FullScope,
    HeadNorm,
    InputGraph,
    NeighborScope,
    ReLU,
    Softmax,
    Uniform,
    WindowScope,
)

NORMALIZERS = {
    "softmax": Softmax,
    "relu": ReLU,
    "uniform": Uniform,
    "differential": Differential,
    "differential_norm": lambda: Differential(head_norm=HeadNorm(2)),
}
# Node 0 and node 4 have no candidate, node 3 has one.
BONDS = InputGraph(torch.tensor([[0, 2, 1, 1], [1, 1, 2, 3]]))
SCOPES = {
    "causal": CausalScope,
    "full": FullScope,
    "window": lambda ptr: WindowScope(ptr, window=1),
    "given": lambda ptr: NeighborScope(ptr, given=BONDS, self_loops=False),
}


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("name", ["softmax", "uniform"])
def test_weights_of_a_row_add_up_to_one(name, scope):
    scope = SCOPES[scope](one_graph(5))
    expected = (scope.count() > 0).float().expand(2, 5)
    for pairs, (values,), back in layouts(scope, torch.randn(2, 5, 5) * 30):
        weight = back(NORMALIZERS[name]()(values, pairs=pairs))
        torch.testing.assert_close(weight.sum(-1), expected)


def test_softmax_is_torchs_over_the_candidates():
    scores = torch.randn(2, 5, 5)
    mask = torch.ones(5, 5).tril().bool()
    expected = scores.masked_fill(~mask, -torch.inf).softmax(-1)
    for pairs, (values,), back in layouts(CausalScope(one_graph(5)), scores):
        torch.testing.assert_close(back(Softmax()(values, pairs=pairs)), expected)


def test_relu_keeps_positive_scores_as_they_are():
    scores = torch.tensor([[[1.5, -1.0], [0.0, 300.0]]])
    for pairs, (values,), back in layouts(FullScope(one_graph(2)), scores):
        weight = ReLU()(values, pairs=pairs)
        assert back(weight).tolist() == [[[1.5, 0.0], [0.0, 300.0]]]
        assert back(ReLU().keep(weight)).tolist() == [[[True, False], [False, True]]]


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("name", NORMALIZERS)
@pytest.mark.parametrize("form", ["dense", "edges"])
def test_rows_without_candidates_are_zero_with_finite_gradients(name, scope, form):
    normalize = NORMALIZERS[name]()
    adjacency = AttentionAdjacency(
        score=DotProductScore(8, 2, maps=normalize.maps), normalize=normalize, form=form
    )
    scope = SCOPES[scope](torch.tensor([0, 0, 5, 5]))
    x = torch.randn(5, 8, requires_grad=True)
    graph = adjacency(x, scope)
    out = torch.cat([graph.sum(x.view(5, 2, 4)), *graph.moments(x.view(5, 2, 4))], dim=-1)
    assert out.isfinite().all()
    assert not out[scope.count() == 0].any()
    out.square().sum().backward()
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("temperature", [0, -1.0, float("nan")])
def test_impossible_temperatures_are_named(temperature):
    with pytest.raises(ValueError, match=f"temperature must be above 0, got {temperature}"):
        Softmax(temperature=temperature)
