import math

import pytest
import torch
from laws import assert_same, outputs_and_gradients
from torch.utils._python_dispatch import TorchDispatchMode

from gia.attention import Rotary, rotary
from gia.attention.rotary import has_float64
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


@pytest.mark.parametrize("on_host", [False, True])
def test_angles_far_along_a_sequence_are_exact(monkeypatch, on_host):
    monkeypatch.setattr(rotary, "has_float64", lambda device: not on_host)
    pos = torch.tensor([0, 1, 9_999, 10_000])
    cos, sin = Rotary(8)(pos, dtype=torch.float32)
    for number, position in enumerate(pos.tolist()):
        for plane in range(4):
            angle = position * 10_000.0 ** (-2 * plane / 8)
            for channel in (plane, plane + 4):
                assert abs(cos[number, 0, channel].item() - math.cos(angle)) < 1e-6
                assert abs(sin[number, 0, channel].item() - math.sin(angle)) < 1e-6


class WithoutFloat64(TorchDispatchMode):
    """The meta device as one that has no float64, such as Apple's."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        if isinstance(out, torch.Tensor) and out.device.type == "meta":
            assert out.dtype != torch.float64, f"{function} makes float64 on the device"
        return out


def to_with_numbers(to):
    """What is on the meta device has no numbers: the host is given some."""

    def moved(self, *args, **kwargs):
        leaves = self.device.type == "meta" and args == (torch.device("cpu"),)
        return torch.arange(self.numel()) if leaves else to(self, *args, **kwargs)

    return moved


def test_a_device_without_float64_is_given_none(monkeypatch):
    monkeypatch.setattr(rotary, "has_float64", lambda device: device.type != "meta")
    monkeypatch.setattr(torch.Tensor, "to", to_with_numbers(torch.Tensor.to))
    pos = torch.arange(5, device="meta")
    with WithoutFloat64():
        angles = Rotary(8)(pos, dtype=torch.float32)
    assert angles.device.type == "meta"
    assert angles.dtype == torch.float32
    with pytest.raises(AssertionError, match="makes float64"), WithoutFloat64():
        torch.zeros(3, device="meta").to(torch.float64)
    assert not has_float64(torch.device("mps"))
    assert has_float64(torch.device("cpu"))
