import pytest
import torch
from layouts import layouts, one_graph

from gia.attention import AttentionAdjacency, CausalScope, DotProductScore, FullScope, Softmax
from gia.attention.sparsify import DropSinks, RandomEdges, Window


def kept(sparsify, scope, weight):
    for pairs, (values,), back in layouts(scope, weight):
        yield back(sparsify.keep(values, pairs))


@pytest.mark.parametrize("window", [0, 2, 100])
def test_edges_reach_as_far_as_the_window(window):
    position = torch.arange(7)
    near = (position.view(-1, 1) - position).abs() <= window
    for keep in kept(Window(window), FullScope(one_graph(7)), torch.rand(2, 7, 7)):
        assert torch.equal(keep, near.expand(2, -1, -1))


def test_positions_are_counted_in_each_graph():
    adjacency = AttentionAdjacency(
        score=DotProductScore(8, 2), normalize=Softmax(), sparsify=DropSinks(2)
    )
    scope = CausalScope(torch.tensor([0, 4, 4, 9]))
    source, target = adjacency(torch.randn(9, 8), scope).to_edges().edge_index
    start = torch.tensor([0] * 4 + [4] * 5)[source]
    assert ((source - start >= 2) | (source == target)).all()
    assert (source == target).sum() == 2 * 9


def test_random_edges_are_as_many_as_asked_for_and_drawn_anew():
    scope, weight = CausalScope(one_graph(12)), torch.rand(2, 12, 12)
    sparsify, expected = RandomEdges(3), torch.arange(1, 13).clamp(max=3)
    draws = [*kept(sparsify, scope, weight), *kept(sparsify, scope, weight)]
    for keep in draws:
        assert torch.equal(keep.sum(-1), expected.expand(2, -1))
        assert not keep.triu(1).any()
    assert not any(torch.equal(draws[0], other) for other in draws[1:])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Window(-1), "window must not be negative, got -1"),
        (lambda: DropSinks(0), "sinks must be at least 1, got 0"),
        (lambda: RandomEdges(0), "k must be at least 1, got 0"),
    ],
)
def test_bad_settings_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
