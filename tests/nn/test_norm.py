import pytest
import torch
from laws import assert_same, outputs_and_gradients
from torch.nn.functional import rms_norm, silu

from gia.nn import RMSNorm
from gia.nn.norm import RMSNormSiLU
from gia.ops.rms_norm import FEW


@pytest.mark.parametrize(("shape", "heads"), [((7, 6), None), ((3, 7, 6), 3), ((1, 7, 1), 1)])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_outputs_and_gradients_are_torchs(shape, heads, dtype, tolerance):
    norm = RMSNorm(shape[-1], heads, eps=0.1).to(dtype)
    norm.weight.data.uniform_(-2, 2)
    x = torch.randn(shape, dtype=dtype)

    def plain(x):
        return rms_norm(x, x.shape[-1:], eps=0.1) * norm.weight

    assert_same(*(outputs_and_gradients(norm, x, call) for call in (norm, plain)), tolerance)


def test_half_precision_has_its_statistics_in_float32():
    x = torch.randn(50, 64)
    norm = RMSNorm(64)
    expected = norm(x.bfloat16().float())
    norm.bfloat16()
    out = norm(x.bfloat16().requires_grad_())
    assert out.dtype == torch.bfloat16
    torch.testing.assert_close(out.float(), expected, rtol=2**-8, atol=0)
    out.sum().backward()
    assert norm.weight.grad.dtype == torch.bfloat16


def test_zeros_have_a_gradient():
    x = torch.zeros(2, 4, requires_grad=True)
    RMSNorm(4)(x).sum().backward()
    assert x.grad.isfinite().all()


def test_norm_is_root_mean_square():
    out = RMSNorm(8, 3)(100 * torch.randn(3, 5, 8))
    torch.testing.assert_close(out.pow(2).mean(-1), torch.ones(3, 5))


@pytest.mark.usefixtures("float64")
def test_second_derivatives_are_right():
    norm = RMSNorm(6)
    norm.weight.data.uniform_(0.5, 2)
    x = torch.randn(3, 6, requires_grad=True)
    assert torch.autograd.gradgradcheck(norm, x)


@pytest.mark.parametrize("nodes", [5, 1 + FEW // 8])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("weight", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("kind", [RMSNorm, RMSNormSiLU])
def test_without_gradients_it_is_the_same(kind, dtype, weight, nodes):
    norm, x = kind(8).to(weight), torch.randn(nodes, 8, dtype=dtype)
    with torch.no_grad():
        norm.weight.uniform_(0.5, 1.5)
        expected = norm(x)
    torch.testing.assert_close(norm(x), expected)


def test_silu_of_the_norm():
    norm, both = RMSNorm(8, heads=2).double(), RMSNormSiLU(8, heads=2).double()
    torch.nn.init.uniform_(norm.weight)
    both.load_state_dict(norm.state_dict())
    x = torch.randn(2, 5, 8, dtype=torch.float64)
    expected = outputs_and_gradients(norm, x, lambda x: silu(norm(x)))
    assert_same(outputs_and_gradients(both, x, both), expected, 1e-12)
    assert torch.autograd.gradgradcheck(both, x.requires_grad_())


def test_a_single_vector():
    x = torch.randn(4, requires_grad=True)
    norm = RMSNorm(4)
    norm(x).sum().backward()
    assert norm.weight.grad.shape == (4,)
