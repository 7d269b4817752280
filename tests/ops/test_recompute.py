import pytest
import torch
from torch.nn.functional import linear
from torch.utils.checkpoint import checkpoint

from gia.ops.recompute import forgetting, in_blocks, recomputed


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


def products(x, y):
    """The sum of x y over the rows, made without keeping anything."""

    def pull_back(grad, tensors):
        a, b = tensors
        return grad.unsqueeze(1).double() * b, grad.unsqueeze(1) * a

    with torch.no_grad():
        value = (x * y).sum(1)
    return recomputed(value, (x, y), pull_back)


def test_a_recomputed_value_has_the_gradients_that_it_is_given():
    x, y = (torch.randn(5, 3, requires_grad=True) for _ in range(2))
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        out = products(x, y)
    assert {t.data_ptr() for t in kept} == {x.data_ptr(), y.data_ptr()}
    expected = torch.autograd.grad((x * y).sum(1).sin().sum(), (x, y))
    found = torch.autograd.grad(out.sin().sum(), (x, y))
    torch.testing.assert_close(found, expected)  # in the precision of the tensors, too
    torch.testing.assert_close(out, (x * y).sum(1))


def test_what_needs_no_gradient_gets_none():
    x, y = torch.randn(5, 3, requires_grad=True), torch.randn(5, 3)
    products(x, y).sum().backward()
    torch.testing.assert_close(x.grad, y)
    assert y.grad is None
    with torch.no_grad():
        assert not products(x, y).requires_grad


def test_a_gradient_that_is_none():
    x, y = (torch.randn(3, requires_grad=True) for _ in range(2))
    recomputed(x.detach() * 2, (x, y), lambda grad, tensors: (2 * grad, None)).sum().backward()
    assert torch.equal(x.grad, torch.full((3,), 2.0))
    assert y.grad is None


def test_second_derivatives_are_refused():
    x, y = (torch.randn(5, 3, requires_grad=True) for _ in range(2))
    (grad,) = torch.autograd.grad(products(x, y).sin().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        grad.sum().backward()


def test_checkpointing_runs_it_again():
    x, y = (torch.randn(5, 3, requires_grad=True) for _ in range(2))
    out = checkpoint(products, x, y, use_reentrant=False)
    torch.testing.assert_close(torch.autograd.grad(out.sum(), (x, y)), (y, x))


@pytest.mark.parametrize(
    ("number", "size", "most", "expected"),
    [
        (7, 10, 30, [(0, 3), (3, 6), (6, 7)]),
        (2, 100, 30, [(0, 1), (1, 2)]),  # a row at least
        (3, 0, 30, [(0, 3)]),
        (0, 10, 30, []),
    ],
)
def test_blocks_cover_all_rows(number, size, most, expected):
    assert [(rows.start, rows.stop) for rows in in_blocks(number, size, most)] == expected
