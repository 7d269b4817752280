import pytest
import torch

from gia.nn import Dropout


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_entries_become_0_by_their_chance_and_the_mean_stays(p, dtype):
    x = torch.ones(401, 499, dtype=dtype, requires_grad=True)
    out = Dropout(p)(x)
    assert out.dtype == dtype
    kept = out != 0
    error = (p * (1 - p) / x.numel()) ** 0.5
    assert abs((~kept).double().mean() - p) < 5 * error
    assert abs(out.detach().double().mean() - 1) < 5 * error / (1 - p) + torch.finfo(dtype).eps
    assert out[kept].unique().numel() == 1
    out.sum().backward()
    assert torch.equal(x.grad, out)  # the mask of the forward pass


def test_entries_are_dropped_one_by_one():
    """Neighbours, which share a random number, have nothing to do with each other."""
    dropped = (Dropout(0.5)(torch.ones(100_000)) == 0).double() - 0.5
    for step in range(1, 9):
        assert abs((dropped[step:] * dropped[:-step]).mean()) < 5 * 0.25 / 100_000**0.5


@pytest.mark.parametrize("shape", [(0,), (1,), (3, 5), (2, 0, 4)])
def test_any_shape_will_do(shape):
    assert Dropout(0.5)(torch.ones(shape)).shape == shape


def test_what_is_torchs_stays_torchs():
    x = torch.randn(50)
    assert torch.equal(Dropout(0.5).eval()(x), x)
    assert torch.equal(Dropout(0.0)(x), x)
    assert not Dropout(1.0)(x).any()
    with pytest.raises(ValueError, match="dropout probability has to be between 0 and 1"):
        Dropout(1.5)


def test_a_seed_decides():
    x, outs = torch.ones(100), []
    for _ in range(2):
        torch.manual_seed(3)
        outs.append(Dropout(0.5)(x))
    assert torch.equal(*outs)
    assert not torch.equal(Dropout(0.5)(x), outs[0])
