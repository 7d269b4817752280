"""Dropout by few random numbers has torch's chances; its statistics are tested with the layer."""

import pytest
import torch

from gia.ops.dropout import drop


def test_what_stays_is_scaled_and_its_gradient_too():
    x = torch.randn(40, 30, dtype=torch.float64, requires_grad=True)
    out = drop(x, 0.25)
    (grad,) = torch.autograd.grad(out.sum(), x)
    kept = out != 0
    assert 0.6 < kept.double().mean() < 0.9
    torch.testing.assert_close(out, torch.where(kept, x / 0.75, 0.0))
    torch.testing.assert_close(grad, kept.double() / 0.75)


@pytest.mark.parametrize("p", [0.0, 1.0, 1e-9])
def test_where_nothing_or_all_is_dropped_it_is_torchs(p):
    x = torch.randn(50)
    assert torch.equal(drop(x, p), drop.definition(x, p))


def test_inputs_need_not_lie_side_by_side():
    x = torch.randn(30, 40).t()
    out = drop(x, 0.5)
    torch.testing.assert_close(out[out != 0], 2 * x[out != 0])


def test_compiled_code_draws_as_torch_does():
    torch._dynamo.reset()
    x = torch.randn(100)
    compiled = torch.compile(lambda x: drop(x, 0.5), backend="aot_eager", fullgraph=True)
    torch.manual_seed(2)
    out = compiled(x)
    torch.manual_seed(2)
    assert torch.equal(out, drop.definition(x, 0.5))
