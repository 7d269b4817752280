import pytest
import torch
from torch.nn.functional import linear

from gia.ops.recompute import forgetting


def forgetful(x, weight, calls=None):
    def again():
        if calls is not None:
            calls.append(1)
        return x.exp()

    hidden = x.exp()
    with forgetting(hidden, again):
        return linear(hidden, weight)


@pytest.mark.usefixtures("float64")
def test_gradients_are_those_of_what_was_forgotten():
    x, weight = torch.randn(5, 3, requires_grad=True), torch.randn(2, 3, requires_grad=True)
    results, calls = [], []
    for out in (forgetful(x, weight, calls), linear(x.exp(), weight)):
        results.append(torch.autograd.grad(out.square().sum(), (x, weight)))
    assert calls == [1]  # once, and only for the gradient
    for found, expected in zip(*results, strict=True):
        assert torch.equal(found, expected)
    assert torch.autograd.gradcheck(forgetful, (x, weight))
    assert torch.autograd.gradgradcheck(forgetful, (x, weight))


def test_nothing_is_made_again_without_gradients():
    calls = []
    with torch.no_grad():
        forgetful(torch.randn(5, 3), torch.randn(2, 3), calls)
    assert not calls
