"""Graphs without a matrix say what their edges say."""

import pytest
import torch

from gia.adapters.few_sources import EarlierMean, FewSources

B, Q, K = 2, 4, 6
pytestmark = pytest.mark.usefixtures("float64")


def some_sources():
    source = torch.tensor([[[0, 3], [-1, -1], [4, -1], [5, 1]], [[2, 0], [1, -1], [-1, 3], [4, 5]]])
    return FewSources(source, K)


def earlier(sequences=B):
    first = torch.tensor([[0, 0, 0, 1], [2, 2, 2, 2]])[:sequences]
    sends = torch.tensor([[False, True, True, True, True, True], [True] * 6])[:sequences]
    return EarlierMean(first, torch.arange(2, 6).expand(first.shape), sends, B)


@pytest.mark.parametrize("make", [some_sources, earlier, lambda: earlier(1)])
def test_sums_are_those_of_the_edges(make):
    graph, x = make(), torch.randn(B * K, 1, 3, requires_grad=True)
    edges = graph.to_edges()
    torch.testing.assert_close(graph.sum(x), edges.sum(x))
    torch.testing.assert_close(graph.degree().double(), edges.degree().double())
    torch.testing.assert_close(graph.count().long(), edges.count().long())
    weight = torch.randn(B * Q, 1, 3)
    ours, theirs = (
        torch.autograd.grad((one.sum(x) * weight).sum(), x)[0] for one in (graph, edges)
    )
    torch.testing.assert_close(ours, theirs)


def test_a_mean_of_earlier_tokens():
    x = torch.arange(12.0).view(B * K, 1, 1)
    assert earlier().sum(x).flatten().tolist() == [1, 1.5, 2, 2.5, 0, 8, 8.5, 9]
