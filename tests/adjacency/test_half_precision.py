"""Sum and variance in half precision, against float64."""

import pytest
import torch
from laws import layer_inputs

from gia.adjacency import CausalScope, DotProduct, EdgeAdjacency, FullScope, FusedSoftmax


def moments(scope, offset, outlier, dtype):
    """Of features around an offset, the first node's further away: in a dtype, and exactly."""
    x, scope, _ = layer_inputs([40, 7, 1], scope, width=32)
    x = x.view(-1, 2, 16) + offset
    x[scope.ptr[:-1]] += outlier
    x = x.to(dtype)  # what is rounded here is nobody's error
    q, k = (torch.randn_like(x) for _ in range(2))
    ours = FusedSoftmax(DotProduct(q, k), scope).moments(x)
    exact = FusedSoftmax(DotProduct(q.double(), k.double()), scope).to_edges().moments(x.double())
    return ours, exact


@pytest.mark.parametrize("scope", [CausalScope, FullScope])
@pytest.mark.parametrize(("offset", "outlier"), [(0.0, 0.0), (10.0, 0.0), (0.0, 30.0)])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_moments_are_as_accurate_as_the_precision_allows(scope, offset, outlier, dtype):
    ours, exact = moments(scope, offset, outlier, dtype)
    for found, expected in zip(ours, exact, strict=True):
        assert found.dtype == dtype
        # Rounded once, at the end; besides, what float32 leaves of the difference.
        rounding = torch.finfo(dtype).eps
        left_over = 1e-5 * (1 + offset + outlier) ** 2
        torch.testing.assert_close(found.double(), expected, rtol=rounding, atol=left_over)


def test_the_same_sums_in_half_precision_would_not_do():
    x, scope, _ = layer_inputs([40], CausalScope, width=32)
    x = (x.view(-1, 2, 16) + 10).bfloat16()
    graph = FusedSoftmax(DotProduct(torch.randn_like(x), torch.randn_like(x)), scope)
    difference = graph.sum(x * x) - graph.sum(x) ** 2
    variance = graph.moments(x)[1]
    assert (difference - variance).abs().max() > 0.2 * variance.mean()


@pytest.mark.parametrize("scope", [CausalScope, FullScope])
def test_autocast_leaves_them_in_float32(scope):
    x, scope, _ = layer_inputs([40, 7], scope, width=32)
    x = x.view(-1, 2, 16) + 10
    graph = FusedSoftmax(DotProduct(torch.randn_like(x), torch.randn_like(x)), scope)
    expected = graph.moments(x)
    with torch.autocast("cpu", torch.bfloat16):
        found = graph.moments(x)
    for left, right in zip(found, expected, strict=True):
        assert torch.equal(left, right)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_so_do_edges(dtype):
    x = (torch.randn(40, 2, 16) + 10).to(dtype)
    edges = EdgeAdjacency(torch.randint(40, (2, 400)), torch.rand(400, 2).to(dtype), num_nodes=40)
    exact = EdgeAdjacency(edges.edge_index, edges.edge_weight.double(), num_nodes=40)
    for found, expected in zip(edges.moments(x), exact.moments(x.double()), strict=True):
        assert found.dtype == dtype
        rounding = torch.finfo(dtype).eps
        torch.testing.assert_close(found.double(), expected, rtol=rounding, atol=2e-3)
