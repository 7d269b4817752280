import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gia.ops.running_max import running_max


def with_gradient(function, x, grad):
    x = x.clone().requires_grad_()
    out = function(x)
    out.backward(grad)
    return out.detach(), x.grad


def definition(x):
    """Torch's own, which sends the gradient of ties to the last, too."""
    return x.cummax(dim=1).values


@given(
    batch=st.integers(1, 3),
    length=st.integers(1, 300),
    channels=st.integers(1, 3),
    levels=st.sampled_from([2, 5, 10**6]),  # few levels make many ties
    seed=st.integers(0, 2**16),
)
@settings(max_examples=80, deadline=None)
def test_values_and_gradients_are_those_of_the_definition(batch, length, channels, levels, seed):
    torch.manual_seed(seed)
    x = torch.randint(levels, (batch, length, channels)).double()
    grad = torch.randn_like(x)
    ours, theirs = (with_gradient(function, x, grad) for function in (running_max, definition))
    assert torch.equal(ours[0], theirs[0])
    torch.testing.assert_close(ours[1], theirs[1], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("shape", [(0, 3, 2), (2, 0, 3), (2, 3, 0)])
def test_nothing(shape):
    x = torch.zeros(shape, requires_grad=True)
    running_max(x).sum().backward()
    assert x.grad.shape == shape


def test_infinities_and_nan():
    low, high, nan = -torch.inf, torch.inf, torch.nan
    x = torch.tensor([low, low, 1, high, 2, nan, high, 3.0]).view(1, -1, 1)
    ours, theirs = running_max(x), definition(x)
    torch.testing.assert_close(ours, theirs, equal_nan=True)


def test_half_precision_adds_up_gradients_in_float32():
    x = torch.zeros(1, 2000, 1, dtype=torch.bfloat16)
    x[0, 0] = 1  # the record of all 2,000; in bfloat16 a sum of ones ends at 256
    _, grad = with_gradient(running_max, x, torch.ones_like(x))
    assert grad[0, 0] == 2000
    assert not grad[0, 1:].any()


def test_infinite_gradients_stay_where_they_belong():
    x = torch.zeros(1, 16, 1)
    x[0, 0] = 5
    grad = torch.zeros_like(x)
    grad[0, -1] = torch.inf
    _, found = with_gradient(running_max, x, grad)
    assert found[0, 0] == torch.inf
    assert not found[0, 1:].any()


def test_only_a_byte_for_each_number_is_kept():
    x = torch.randn(2, 100, 3, requires_grad=True)
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        running_max(x)
    assert [tensor.dtype for tensor in kept] == [torch.bool]


def test_the_operators_are_registered_right():
    x = torch.randn(2, 7, 3, requires_grad=True)
    torch.library.opcheck(torch.ops.gia.running_max.default, (x,))
    strided = torch.randn(2, 3, 7).transpose(1, 2)
    torch.library.opcheck(torch.ops.gia.running_max.default, (strided,))
    record = torch.rand(2, 7, 3) > 0.5
    torch.library.opcheck(torch.ops.gia.running_max_backward.default, (x.detach(), record))
