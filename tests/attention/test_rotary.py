import pytest
import torch
from laws import assert_same, outputs_and_gradients

from gia.attention import Rotary
from gia.ops.rotate import rotate


@pytest.mark.usefixtures("float64")
def test_scores_depend_on_the_distance_alone():
    q, k = torch.randn(1, 1, 8), torch.randn(1, 1, 8)
    rotary = Rotary(8)

    def score(i, j):
        left, right = (rotate(x, rotary(torch.tensor([p]))) for x, p in ((q, i), (k, j)))
        return (left * right).sum()

    torch.testing.assert_close(score(7, 3), score(1007, 1003))
    assert not torch.isclose(score(7, 3), score(7, 4))


@pytest.mark.usefixtures("float64")
def test_turning_keeps_the_length():
    x = torch.randn(5, 2, 8)
    turned = rotate(x, Rotary(8)(torch.arange(5)))
    torch.testing.assert_close(turned.norm(dim=-1), x.norm(dim=-1))
    torch.testing.assert_close(turned[0], x[0])


def test_odd_channels_are_refused():
    with pytest.raises(ValueError, match="even number of channels per head, got 7"):
        Rotary(7)


@pytest.mark.usefixtures("float64")
def test_outputs_and_gradients_are_the_definition():
    x, angles = torch.randn(5, 2, 8), torch.randn(2, 5, 1, 8)  # any angles, also in the halves

    def definition(x):
        first, second = x.chunk(2, dim=-1)
        return x * angles[0] + torch.cat([-second, first], dim=-1) * angles[1]

    calls = (lambda x: rotate(x, angles)), definition
    assert_same(*(outputs_and_gradients(torch.nn.Identity(), x, call) for call in calls), 1e-14)


def test_half_precision_is_turned_in_float32():
    x, angles = torch.randn(50, 2, 8).bfloat16(), Rotary(8)(torch.arange(50) + 1000)
    turned = rotate(x, angles)
    assert turned.dtype == torch.bfloat16
    exact = rotate(x.double(), angles.double())
    torch.testing.assert_close(turned.double(), exact, rtol=2**-8, atol=1e-6)


@pytest.mark.usefixtures("float64")
def test_second_derivatives_are_right():
    x, angles = torch.randn(3, 2, 4, requires_grad=True), Rotary(4)(torch.arange(3))
    assert torch.autograd.gradgradcheck(lambda x: rotate(x, angles).sin(), x)
