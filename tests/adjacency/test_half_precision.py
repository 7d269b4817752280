"""Variance in half precision, against float64."""

import pytest
import torch
from laws import layer_inputs

from gia.adjacency import CausalScope, DotProduct, FullScope, FusedSoftmax


def variances(scope, offset, dtype):
    """Of features around an offset: in a dtype, exactly, and as A x^2 - (A x)^2 in that dtype."""
    x, scope, _ = layer_inputs([40, 7, 1], scope, width=32)
    x = (x.view(-1, 2, 16) + offset).to(dtype)  # what is rounded here is nobody's error
    q, k = (torch.randn_like(x) for _ in range(2))
    ours = FusedSoftmax(DotProduct(q, k), scope).moments(x)[1]
    wide = FusedSoftmax(DotProduct(q.double(), k.double()), scope)
    exact = wide.sum(x.double() ** 2) - wide.sum(x.double()) ** 2
    graph = FusedSoftmax(DotProduct(q, k), scope)
    plain = graph.sum(x * x) - graph.sum(x) ** 2
    return ours, exact, plain


def error(found, exact):
    """Of the worst entry, relative to the mean variance."""
    return float((found.double() - exact).abs().max() / exact.mean())


@pytest.mark.parametrize("scope", [CausalScope, FullScope])
@pytest.mark.parametrize("offset", [0.0, 10.0])
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.bfloat16, 0.15), (torch.float16, 0.02), (torch.float32, 1e-5)]
)
def test_variance_is_accurate(scope, offset, dtype, tolerance):
    ours, exact, _ = variances(scope, offset, dtype)
    assert ours.dtype == dtype
    assert (ours >= 0).all()
    assert error(ours, exact) < tolerance


def test_the_plain_difference_would_not_be():
    ours, exact, plain = variances(CausalScope, 10.0, torch.bfloat16)
    assert error(plain, exact) > 3 * error(ours, exact)
