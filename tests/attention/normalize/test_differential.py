import math

import pytest
import torch
from layouts import layouts, one_graph

from gia.attention import (
    AttentionAdjacency,
    CausalScope,
    Differential,
    DistanceBias,
    DotProductScore,
    FullScope,
    HeadNorm,
    PairNetworkScore,
)
from gia.attention.score import BiasedScore
from gia.nn import Block, GINAttention, LanguageModel


def test_it_is_the_difference_of_two_softmaxes():
    first, second = torch.randn(2, 3, 5, 5)
    normalize = Differential()
    expected = first.softmax(-1) - 0.2 * second.softmax(-1)  # lambda starts at 0.2 in layer 1
    for pairs, values, back in layouts(FullScope(one_graph(5)), first, second):
        torch.testing.assert_close(back(normalize(*values, pairs=pairs)), expected)


def test_lambda_starts_by_the_number_of_the_layer():
    adjacency = AttentionAdjacency(score=DotProductScore(16, 2, maps=2), normalize=Differential())
    block = Block(16, attention=GINAttention(16, 2, adjacency=adjacency))
    model = LanguageModel(vocab_size=5, width=16, heads=2, depth=4, block=block)
    starts = [block.attention.adjacency.normalize.balance.item() for block in model.blocks]
    expected = [0.8 - 0.6 * math.exp(-0.3 * layer) for layer in range(4)]
    assert starts == pytest.approx(expected)
    for block in model.blocks:  # and begin anew where they began
        torch.nn.init.zeros_(block.attention.adjacency.normalize.balance)
        block.attention.reset_parameters()
    starts = [block.attention.adjacency.normalize.balance.item() for block in model.blocks]
    assert starts == pytest.approx(expected)


@pytest.mark.parametrize("scope", [CausalScope, FullScope])
@pytest.mark.usefixtures("float64")
def test_the_head_norm_gives_each_row_mean_0_and_variance_1(scope):
    norm, weight = HeadNorm(2, eps=0.0), torch.rand(2, 8, 8)
    scope = scope(one_graph(8))
    for pairs, (values,), back in layouts(scope, weight):
        found = back(norm(values, pairs))[:, 1:]  # a row of one candidate has no variance
        count = scope.count()[1:].double()
        torch.testing.assert_close(found.sum(-1), torch.zeros(2, 7))
        torch.testing.assert_close(found.square().sum(-1) / count, torch.ones(2, 7))


def test_the_head_norm_has_a_gain_and_a_bias_for_each_head():
    norm, weight = HeadNorm(2), torch.rand(2, 6, 6)
    for pairs, (values,), back in layouts(CausalScope(one_graph(6)), weight):
        with torch.no_grad():
            norm.reset_parameters()
            plain = back(norm(values, pairs))
            norm.weight.copy_(torch.tensor([2.0, -1.0]))
            norm.bias.copy_(torch.tensor([0.5, 0.25]))
            found = back(norm(values, pairs))
        allowed = torch.ones(6, 6).tril()
        expected = plain * torch.tensor([2.0, -1.0]).view(2, 1, 1)
        expected = (expected + torch.tensor([0.5, 0.25]).view(2, 1, 1)) * allowed
        torch.testing.assert_close(found, expected)


def test_a_row_of_one_candidate_is_finite():
    norm = HeadNorm(1)
    weight = torch.ones(1, 1, 1, requires_grad=True)
    for pairs, (values,), _ in layouts(CausalScope(one_graph(1)), weight):
        out = norm(values, pairs)
        (gradient,) = torch.autograd.grad(out.sum(), weight)
        assert out.abs().max() == 0
        assert gradient.isfinite().all()


def test_the_published_norm_is_over_the_whole_map():
    normalize = Differential(head_norm=HeadNorm(2, published=True, eps=0.0))
    adjacency = AttentionAdjacency(score=DotProductScore(8, 2, maps=2), normalize=normalize)
    x, scope = torch.randn(7, 8), FullScope(torch.tensor([0, 3, 7]))
    weight = adjacency(x, scope).to_edges().of_heads()
    for head in range(2):
        for start, stop in ((0, 3), (3, 7)):
            mine = (weight.head == head) & (weight.edge_index[1] >= start)
            mine &= weight.edge_index[1] < stop
            numbers = weight.edge_weight[mine] / (1 - normalize.initial_balance)
            assert numbers.mean().item() == pytest.approx(0, abs=1e-4)
            assert numbers.var(unbiased=False).item() == pytest.approx(1, rel=1e-3)
    adjacency.form = "edges"
    with pytest.raises(ValueError, match="needs form=dense"):
        adjacency(x, scope)


def test_scores_of_one_map_are_refused():
    biased = BiasedScore(score=DotProductScore(8, 2), biases=[DistanceBias(2)])
    for score in (biased, PairNetworkScore(8, 2)):
        with pytest.raises(ValueError, match=f"2 maps of scores, {type(score).__name__} has 1"):
            AttentionAdjacency(score=score, normalize=Differential())
    score = PairNetworkScore(8, 2)
    score.maps = 2  # it says so, but it has not
    adjacency = AttentionAdjacency(score=score, normalize=Differential())
    with pytest.raises(ValueError, match="PairNetwork has one map of scores, 2 are needed"):
        adjacency(torch.randn(3, 8), CausalScope(torch.tensor([0, 3])))
