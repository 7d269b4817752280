import pytest
import torch
from torch.nn.functional import silu

from gia.nn.mlp import gated


@pytest.mark.usefixtures("float64")
def test_gates_and_their_derivatives_are_as_defined():
    gate, value = (torch.randn(4, 3, requires_grad=True) for _ in range(2))
    results = []
    for out in (gated(gate, value), silu(gate) * value):
        results.append((out, *torch.autograd.grad(out.square().sum(), (gate, value))))
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected)
    assert torch.autograd.gradgradcheck(gated, (gate, value))
