"""All ways of summing over a graph's edges give the same, values and gradients."""

import pytest
import torch
from layers import Case
from sums import MAXIMA, SUMS, Graph, dense_sum, gia_max, gia_sum, maximum, summing

K = 4


@pytest.fixture
def graph():
    return Graph.draw(Case("sparse_gin", length=12, batch=2, width=16, heads=2), K)


def test_edges_are_the_strongest_and_sorted(graph):
    row, column, number = graph.matrix
    assert number == 2 * 12 * 2
    assert (row.diff() >= 0).all()
    assert (column <= row).all()
    degree = torch.tensor([min(i + 1, K) for i in range(12)])
    assert torch.equal(row.bincount(), degree.repeat_interleave(2).repeat(2))


@pytest.mark.parametrize("name", [*SUMS, "dense"])
def test_sums_agree(graph, name):
    way = dense_sum if name == "dense" else SUMS[name]
    if way is None:
        pytest.skip(f"{name} is not installed")
    edges = graph.edges
    weight = edges.edge_weight.clone().requires_grad_()
    expected = results(graph, gia_sum(graph, weight), weight)
    if name == "dense":
        weight = graph.dense_weight().requires_grad_()
    out, of_x, of_weight = results(graph, way(graph, weight), weight)
    if name == "dense":
        of_weight = of_weight[edges.head, edges.edge_index[1], edges.edge_index[0]]
    for got, want in zip((out, of_x, of_weight), expected, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", MAXIMA)
def test_maxima_agree(graph, name):
    if MAXIMA[name] is None:
        pytest.skip(f"{name} is not installed")
    expected = results(graph, gia_max(graph))
    for got, want in zip(results(graph, MAXIMA[name](graph)), expected, strict=True):
        torch.testing.assert_close(got, want)


def results(graph, out, *others):
    """A result and its gradients."""
    return out.detach(), *torch.autograd.grad(out, [graph.x, *others], graph.grad)


def test_calls_give_gradients_and_know_nothing_of_the_last_one(graph):
    summing(graph, gia_sum, graph.edges.edge_weight)()
    first = graph.x.grad
    summing(graph, gia_sum, graph.edges.edge_weight)()
    torch.testing.assert_close(graph.x.grad, first)
    maximum(graph, gia_max)()
    assert graph.x.grad.abs().sum() > 0
    assert graph.fresh()._patterns == {}
