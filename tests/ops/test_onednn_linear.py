"""Linear layers by oneDNN: the same numbers, and only where nothing else is lost."""

import pytest
import torch
from torch import nn
from torch.nn.functional import linear

from gia.ops import onednn_linear
from gia.ops.onednn_linear import OneDNNLinear

available = onednn_linear._pointwise is not None and torch.backends.mkldnn.is_available()


@pytest.fixture
def calls(monkeypatch):
    """How often oneDNN was called."""
    if not available:
        pytest.skip("this torch has no linear layer of oneDNN")
    found, called = onednn_linear._pointwise, []

    def counted(*args):
        called.append(args)
        return found(*args)

    monkeypatch.setattr(onednn_linear, "_pointwise", counted)
    return called


@pytest.mark.parametrize("shape", [(0, 24), (1, 24), (300, 24), (2, 5, 24)])
@pytest.mark.parametrize("bias", [True, False])
def test_it_is_the_linear_layer(calls, shape, bias):
    layer, x = nn.Linear(24, 40, bias=bias), torch.randn(shape)
    with torch.no_grad():
        expected = layer(x)
        with OneDNNLinear():
            found = layer(x)
            transposed = linear(x, torch.randn(24, 40).T)
    assert transposed.shape == (*shape[:-1], 40)
    assert len(calls) == 2
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("dtype", "shape"),
    [(torch.float64, (3, 24)), (torch.bfloat16, (3, 24)), (torch.float32, (24,))],
)
def test_other_numbers_stay_as_they_are(calls, dtype, shape):
    layer, x = nn.Linear(24, 8, dtype=dtype), torch.randn(shape, dtype=dtype)
    with torch.no_grad(), OneDNNLinear():
        found = layer(x)
    assert not calls
    assert torch.equal(found, layer(x))


@pytest.mark.parametrize(("channels", "bias"), [(0, (8,)), (24, (1,)), (24, (3, 8))])
def test_what_onednn_refuses_is_torchs(calls, channels, bias):
    x, weight, bias = torch.randn(3, channels), torch.randn(8, channels), torch.randn(bias)
    with torch.no_grad(), OneDNNLinear():
        found = linear(x, weight, bias)
    assert not calls
    assert torch.equal(found, linear(x, weight, bias))


def test_gradients_stay(calls):
    layer, x = nn.Linear(24, 8), torch.randn(3, 24)
    with OneDNNLinear():
        layer(x).sum().backward()
    assert not calls
    assert layer.weight.grad is not None


def test_without_onednn_it_is_torchs(monkeypatch):
    monkeypatch.setattr(onednn_linear, "_pointwise", None)
    layer, x = nn.Linear(24, 8), torch.randn(3, 24)
    with torch.no_grad(), OneDNNLinear():
        assert torch.equal(layer(x), linear(x, layer.weight, layer.bias))


def test_in_half_precision_it_is_torchs(calls):
    layer, x = nn.Linear(24, 8), torch.randn(3, 24)
    with torch.no_grad(), OneDNNLinear(), torch.autocast("cpu", dtype=torch.bfloat16):
        assert layer(x).dtype == torch.bfloat16
    assert not calls
