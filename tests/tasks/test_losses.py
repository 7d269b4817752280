"""What each loss is, by hand and beside SciPy and scikit-learn."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import norm
from sklearn.metrics import mean_pinball_loss

from gia.tasks import TargetScaler
from gia.tasks.losses import MAE, MSE, CrossEntropy, Focal, Gaussian, Huber, Quantile

NAN, INF = math.nan, math.inf


def numbers(*rows):
    return torch.tensor(rows, dtype=torch.float64)


def free(target):
    """No bounds, for each target."""
    return torch.tensor([-INF, INF], dtype=torch.float64).expand(*target.shape, 2).clone()


@pytest.mark.parametrize(
    ("loss", "expected"),
    [(MSE(), (1 + 9) / 2), (MAE(), (1 + 3) / 2), (Huber(2.0), (0.5 + 2 * (3 - 1)) / 2)],
    ids=lambda value: type(value).__name__,
)
def test_losses_of_one_number_by_hand(loss, expected):
    output, target = numbers([[1.0], [5.0], [7.0]]), numbers([0.0, NAN, 4.0])
    assert loss(output, target).item() == pytest.approx(expected)
    # A weight multiplies its term; the number of targets stays.
    weight = numbers([0.0, 1.0, 2.0])
    assert loss(output, target, weight=weight).item() == pytest.approx(
        2 * (expected - loss(output[:, :1], target[:, :1]).item() / 2)
    )
    assert (loss.channels, loss.std(output), loss.interval(output)) == (1, None, None)
    assert loss.predicted(output).tolist() == [[1.0, 5.0, 7.0]]


@pytest.mark.parametrize("loss", [MSE(), MAE(), Huber(), Quantile(), Gaussian(0.0)])
def test_a_bound_costs_nothing_on_its_right_side(loss):
    """And beyond it pulls back, the more the further away."""
    target, bounds = numbers([NAN]), free(numbers([NAN]))
    bounds[0, 0, 1] = 0.5  # below 0.5
    costs = []
    for middle in (-40.0, 0.6, 3.0):
        output = torch.full((1, 1, loss.channels), middle, dtype=torch.float64)
        if isinstance(loss, Gaussian):
            output[..., 1] = 1.0
        output.requires_grad_()
        cost = loss(output, target, bounds=bounds)
        cost.backward()
        costs.append((cost.item(), output.grad[0, 0, 0].item()))
    assert costs[0] == pytest.approx((0, 0))
    assert 0 < costs[1][0] < costs[2][0]
    assert costs[2][1] > 0
    both = loss(output, numbers([0.5]), bounds=free(target)).item()
    assert both == pytest.approx(loss(output, numbers([0.5])).item())


def test_a_bound_is_the_target_from_its_wrong_side():
    output, bounds = numbers([[2.0], [-1.0]]), free(numbers([NAN, NAN]))
    bounds[0, 0, 1], bounds[0, 1, 0] = 0.5, 1.0  # below 0.5, above 1
    found = MSE()(output, numbers([NAN, NAN]), bounds=bounds).item()
    assert found == pytest.approx((1.5**2 + 2**2) / 2)
    # Known and bounded targets count alike.
    found = MSE()(output, numbers([NAN, 0.0]), bounds=bounds[:, :1].repeat(1, 2, 1)).item()
    assert found == pytest.approx((1.5**2 + 1) / 3)


def test_gaussian_is_the_likelihood():
    loss, random = Gaussian(beta=0.5).eval(), torch.Generator().manual_seed(0)
    raw = 3 * torch.randn(5, 2, 2, generator=random, dtype=torch.float64)
    target = torch.randn(5, 2, generator=random, dtype=torch.float64)
    output = loss.activate(raw)
    mean, std = loss.predicted(output), loss.std(output)
    torch.testing.assert_close(std, (raw[..., 1].exp().log1p() + 1e-6).sqrt())
    terms = -norm.logpdf(target, mean, std)
    assert loss(output, target).item() == pytest.approx(terms.mean())
    # In training a term weighs by its spread, without a gradient of the weight.
    loss.train()
    assert loss(output, target).item() == pytest.approx((terms * std.numpy()).mean())
    output = output.detach().requires_grad_()
    loss(output, target).backward()
    expected = ((mean - target) / std.square() * std / target.numel()).detach()
    torch.testing.assert_close(output.grad[..., 0], expected)


def test_gaussian_bounds_are_tails_of_the_likelihood():
    loss = Gaussian().eval()
    output, bounds = numbers([[2.0, 0.5], [-1.0, 2.0], [0.0, 1.0]]), free(numbers([NAN] * 3))
    bounds[0, 0, 1], bounds[0, 1, 0] = 1.0, 0.5
    output.requires_grad_()
    found = loss(output, numbers([NAN, NAN, 0.0]), bounds=bounds)
    terms = [-norm.logcdf(1, 2, 0.5), -norm.logsf(0.5, -1, 2), -norm.logpdf(0)]
    assert found.item() == pytest.approx(np.mean(terms))
    found.backward()
    assert output.grad.isfinite().all()
    far = numbers([[1e4, 1.0]]).requires_grad_()
    loss(far, numbers([NAN]), bounds=bounds[:, :1]).backward()
    assert far.grad.isfinite().all()


def test_gaussian_in_physical_units():
    loss, scaler = Gaussian(), TargetScaler([300.0, -1.0], [20.0, 0.5])
    output = torch.tensor([[[1.0, 2.0], [-2.0, 0.1]]])
    physical = loss.inverse(output, scaler)
    torch.testing.assert_close(physical, torch.tensor([[[320.0, 40.0], [-2.0, 0.05]]]))
    assert loss.predicted(physical).tolist() == [[320.0, -2.0]]


def test_quantiles_are_pinball_losses():
    levels = [0.1, 0.5, 0.8]
    loss, random = Quantile(levels), torch.Generator().manual_seed(0)
    raw = torch.randn(6, 1, 3, generator=random, dtype=torch.float64)
    target = torch.randn(6, 1, generator=random, dtype=torch.float64)
    output = loss.activate(raw)
    assert (output.diff(dim=-1) >= 0).all()
    expected = [
        mean_pinball_loss(target[:, 0], output[:, 0, k], alpha=level)
        for k, level in enumerate(levels)
    ]
    assert loss(output, target).item() == pytest.approx(np.mean(expected))
    lower, upper = loss.interval(output)
    assert torch.equal(loss.predicted(output), output[..., 1])
    assert (torch.equal(lower, output[..., 0]), torch.equal(upper, output[..., 2])) == (True, True)
    scaler = TargetScaler([300.0], [20.0]).double()
    torch.testing.assert_close(loss.inverse(output, scaler), output * 20 + 300)
    assert Quantile([0.9]).interval(output[..., :1]) is None


@pytest.mark.parametrize(
    "loss", [MSE(), MAE(), Huber(100.0), Quantile([0.2, 0.5, 0.9]), Gaussian()]
)
def test_no_constant_is_better_than_its_own(loss):
    loss.eval()
    target = torch.randn(400, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    target[:100, 0] = NAN
    best = loss.constant(target)
    assert best.shape == (2, loss.channels)
    cost = loss(best.expand(400, -1, -1), target).item()
    for change in (-0.05, 0.05):
        for channel in range(loss.channels):
            other = best.clone()
            other[:, channel] += change
            assert loss(other.expand(400, -1, -1), target).item() > cost


def test_cross_entropy_by_hand():
    logits, target = numbers([[0.0, 1.0, -INF], [1.0, 1.0, 1.0]]), numbers([1.0, NAN])
    expected = math.log(1 + math.exp(-1))
    assert CrossEntropy()(logits, target).item() == pytest.approx(expected)
    weighted = CrossEntropy()(logits, numbers([1.0, 2.0]), weight=numbers([3.0, 0.5]))
    assert weighted.item() == pytest.approx((3 * expected + 0.5 * math.log(3)) / 2)
    with pytest.raises(ValueError, match="CrossEntropy is no loss of bounds"):
        CrossEntropy()(logits, target, bounds=free(target))


def test_bad_settings_are_named():
    for levels, message in (
        ([0.1, 0.9], r"levels=\[0\.1, 0\.9\]: the middle level is the prediction"),
        ([0.9, 0.5, 0.1], r"ascending numbers between 0 and 1, got \[0\.9, 0\.5, 0\.1\]"),
        ([0.0, 0.5, 1.0], "between 0 and 1"),
        ([], r"between 0 and 1, got \[\]"),
    ):
        with pytest.raises(ValueError, match=message):
            Quantile(levels)
    with pytest.raises(ValueError, match="delta must be above 0, got 0"):
        Huber(0)
    with pytest.raises(ValueError, match="beta must lie between 0 and 1, got 2"):
        Gaussian(beta=2)
    with pytest.raises(ValueError, match="min_std must be above 0, got 0"):
        Gaussian(min_std=0)
    with pytest.raises(ValueError, match=r"\[2, 1\] outputs for \[1, 1\] targets"):
        MSE()(torch.zeros(2, 1, 1), torch.zeros(1, 1))


def test_focal_leaves_out_what_is_told_already():
    logits = numbers([[0.0, 0.0, -INF]], [[-2.0, 3.0, 1.0]]).requires_grad_()
    target = numbers([1.0], [0.0])
    p = logits.softmax(-1)[[0, 1], 0, [1, 0]].detach().numpy()
    expected = np.mean((1 - p) ** 2 * -np.log(p))
    assert Focal()(logits, target).item() == pytest.approx(expected)
    entropy = CrossEntropy()(logits, target).item()
    assert Focal(0.0)(logits, target).item() == pytest.approx(entropy)
    sure = numbers([[0.0, 800.0]]).requires_grad_()
    Focal(0.5)(sure, numbers([1.0])).backward()
    assert sure.grad.isfinite().all()
    with pytest.raises(ValueError, match="gamma must be at least 0, got -1"):
        Focal(-1)
