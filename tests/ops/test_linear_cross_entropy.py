"""The cross-entropy over many classes: few rows at a time, in whatever precision."""

import pytest
import torch
from torch.testing import assert_close

from gia.ops import linear_cross_entropy as module
from gia.ops.linear_cross_entropy import linear_cross_entropy


def inputs(rows=11, classes=6):
    torch.manual_seed(0)
    x = torch.randn(rows, 4, requires_grad=True)
    return x, torch.randn(classes, 4), torch.randint(classes, (rows,)), torch.randn(classes)


def with_gradient(function, x, *rest):
    losses = function(x, *rest)
    return losses, *torch.autograd.grad(losses, x, torch.linspace(-1, 2, len(losses)))


@pytest.mark.parametrize("logits", [1, 6, 13, 65, 66, 1000])
def test_rows_are_taken_a_few_at_a_time(logits, monkeypatch):
    monkeypatch.setitem(module.LOGITS, "cpu", logits)
    given = inputs()
    ours = with_gradient(linear_cross_entropy, *given)
    for one, other in zip(
        ours, with_gradient(linear_cross_entropy.definition, *given), strict=True
    ):
        assert_close(one, other, rtol=1e-5, atol=1e-6)


def test_logits_are_never_there_at_once(monkeypatch):
    monkeypatch.setitem(module.LOGITS, "cpu", 60)
    sizes = []

    class Sizes(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            out = func(*args, **(kwargs or {}))
            sizes.extend(x.numel() for x in (out,) if isinstance(x, torch.Tensor))
            return out

    given = inputs(rows=100, classes=20)
    with Sizes():
        with_gradient(linear_cross_entropy, *given)
    assert max(sizes) <= 100 * 4  # x itself


def test_autocast_multiplies_in_half_and_sums_in_single_precision():
    given = inputs()
    with torch.autocast("cpu", torch.bfloat16):
        ours = with_gradient(linear_cross_entropy, *given)
        theirs = with_gradient(linear_cross_entropy.definition, *given)
    assert [value.dtype for value in ours] == [torch.float32] * 2
    for one, other in zip(ours, theirs, strict=True):
        assert_close(one, other, rtol=0.05, atol=0.05)
    exact = with_gradient(linear_cross_entropy.definition, *given)
    assert not torch.equal(ours[0], exact[0])


def test_extreme_logits_are_finite():
    x = torch.tensor([[1e4], [-1e4]], requires_grad=True)
    weight = torch.tensor([[1.0], [-1.0]])
    losses, grad = with_gradient(linear_cross_entropy, x, weight, torch.tensor([0, 0]))
    assert_close(losses, torch.tensor([0.0, 2e4]))
    assert_close(grad, torch.tensor([[0.0], [-4.0]]))
