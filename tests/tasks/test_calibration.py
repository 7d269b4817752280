"""What theory says of calibrations holds, on data whose truth is known."""

import math

import pytest
import torch
from scipy.stats import beta, norm
from torchmetrics.functional.classification import binary_auroc

from gia.tasks import Classification, Regression
from gia.tasks.calibration import Intervals, Temperature, check_confidence, from_state, needed
from gia.tasks.reliability import coverage, normal, of_classes, of_numbers

DRAWS = 2000
NAN = math.nan


def within_binomial_bounds(inside, share):
    """Whether so many successes of independent trials are four standard deviations away at most."""
    n = inside.numel()
    return abs(int(inside.sum()) - n * share) <= 4 * math.sqrt(n * share * (1 - share))


@pytest.mark.parametrize("confidence", [0.5, 0.9])
@pytest.mark.parametrize("noise", ["normal", "cauchy", "skewed"])
def test_a_new_target_is_covered_as_often_as_said(confidence, noise):
    """One new target for each of many calibrations, whatever the noise and the model."""
    torch.manual_seed(0)
    draw = {
        "normal": torch.randn,
        "cauchy": lambda *shape: torch.distributions.Cauchy(0.0, 1.0).sample(shape),
        "skewed": lambda *shape: torch.rand(*shape).exp() ** 3,
    }[noise]
    target, mean = draw(40, DRAWS), 0.3 * torch.randn(40, DRAWS)  # of each target 39 calibrate
    found = Intervals.fit(target[:39], mean[:39])
    lower, upper = found(mean[39:], confidence=confidence)
    inside = (lower <= target[39:]) & (target[39:] <= upper)
    assert within_binomial_bounds(inside, confidence)  # 40 times it is a whole number


@pytest.mark.parametrize("half", [0.5, 3.0])  # too narrow, too wide
def test_quantiles_are_moved_until_they_cover(half):
    torch.manual_seed(0)
    spread = torch.rand(40, DRAWS) + 0.5
    target, mean = spread * torch.randn(40, DRAWS), torch.zeros(40, DRAWS)
    quantiles = -half * spread, half * spread
    found = Intervals.fit(target[:39], mean[:39], None, tuple(q[:39] for q in quantiles))
    lower, upper = found(mean[39:], None, tuple(q[39:] for q in quantiles))
    assert within_binomial_bounds((lower <= target[39:]) & (target[39:] <= upper), 0.9)
    assert (lower <= mean[39:]).all()


@pytest.mark.parametrize("rows", [19, 59, 119])
@pytest.mark.parametrize("model", ["right", "an ensemble of two", "noise"])
def test_intervals_that_follow_the_uncertainty_cover(rows, model):
    """Two numbers are learned from the rows that calibrate: what that takes off is little."""
    torch.manual_seed(0)
    rows = max(rows, 20)
    truth = torch.rand(rows + 1, DRAWS) * 2 + 0.3
    target, mean = truth * torch.randn(rows + 1, DRAWS), torch.zeros(rows + 1, DRAWS)
    std = {
        "right": 3 * truth,
        "an ensemble of two": truth * torch.randn(rows + 1, DRAWS).abs(),
        "noise": torch.randn(rows + 1, DRAWS).abs(),
    }[model]
    found = Intervals.fit(target[:rows], mean[:rows], std[:rows])
    lower, upper = found(mean[rows:], std[rows:])
    inside = ((lower <= target[rows:]) & (target[rows:] <= upper)).double().mean()
    share = math.ceil((rows + 1) * 0.9) / (rows + 1)
    assert float(inside) == pytest.approx(share, abs=0.03 if rows == 20 else 0.02)


def test_the_coverage_of_one_calibration_is_beta_distributed():
    """Of the k-th smallest of n scores: Beta(k, n + 1 - k)."""
    torch.manual_seed(0)
    n, confidence = 99, 0.9
    target = torch.randn(n, DRAWS)
    margin = Intervals.fit(target, torch.zeros(n, DRAWS))(torch.zeros(1, DRAWS))[1][0]
    covered = 2 * torch.from_numpy(norm.cdf(margin)) - 1
    rank = math.ceil((n + 1) * confidence)
    theory = beta(rank, n + 1 - rank)
    assert float(covered.mean()) == pytest.approx(0.9, abs=4 * theory.std() / DRAWS**0.5)
    assert float(covered.std()) == pytest.approx(theory.std(), rel=0.1)
    for level in (0.05, 0.5, 0.95):
        below = (covered <= theory.ppf(level)).double().mean()
        assert float(below) == pytest.approx(level, abs=0.03)


def test_the_end_is_the_residual_of_the_right_rank():
    target = torch.arange(1.0, 100.0)[:, None] * torch.tensor([[1.0, -10.0]])
    target[::2, 1] = NAN  # 49 are left, -20, -40, ..., -980
    found = Intervals.fit(target, torch.zeros(99, 2))
    assert found.known.tolist() == [99, 49]
    lower, upper = found(torch.tensor([[5.0, 7.0]]))
    assert upper.flatten().tolist() == pytest.approx([95, 907])  # the 90th of 99, the 45th of 49
    assert lower.flatten().tolist() == pytest.approx([-85, -893])
    upper = found(torch.zeros(1, 2), confidence=0.99)[1]
    assert upper.flatten().tolist() == [pytest.approx(99), math.inf]
    assert needed(0.99) == 99
    assert needed(0.9) == 9


def test_a_target_with_few_known_values_is_left_as_it_was():
    target = torch.randn(50, 2)
    target[19:, 1] = NAN
    std = torch.rand(50, 2) + 0.1
    found = Intervals.fit(target, torch.zeros(50, 2), std)
    assert found.learned.tolist() == [True, False]
    calibrated = found.std(std, torch.zeros(50, 2))
    torch.testing.assert_close(calibrated[:, 1], std[:, 1].double())
    assert not torch.allclose(calibrated[:, 0], std[:, 0].double())
    lower, upper = found(torch.zeros(50, 2), std)
    assert lower[:, 1].isnan().all()
    assert upper[:, 1].isnan().all()
    assert lower[:, 0].isfinite().all()


def test_the_spread_is_scaled_and_noise_is_added():
    torch.manual_seed(0)
    std = torch.tensor([1.0, 3.0]).repeat(5000)[:, None]
    zero = torch.zeros(10000, 1)
    for noise in (0.0, 4.0):
        target = torch.randn(10000, 1) * (4 * std.square() + noise**2).sqrt()
        found = Intervals.fit(target, zero, std)
        expected = (4 * std[:2].square() + noise**2).sqrt()
        torch.testing.assert_close(
            found.std(std[:2], zero[:2]), expected.double(), rtol=0.06, atol=0
        )
        lower, upper = found(zero, std)
        for kind in (0, 1):  # each by itself, which intervals of one width would not give
            covered = coverage(target[kind::2], lower[kind::2], upper[kind::2])
            assert float(covered) == pytest.approx(0.9, abs=0.02)


@pytest.mark.parametrize("std", [None, torch.zeros(30, 1), torch.rand(30, 1)])
def test_a_model_without_an_error_is_no_error(std):
    zero = torch.zeros(30, 1)
    lower, upper = Intervals.fit(zero, zero, std)(zero, std)
    assert torch.equal(lower, zero.double())
    assert torch.equal(upper, zero.double())


def overconfident(temperature, n=20000, classes=3):
    """Logits whose classes are drawn from their softmax at a temperature."""
    torch.manual_seed(1)
    logits = 1.5 * torch.randn(n, classes)
    target = (logits / temperature).softmax(1).multinomial(1).float()
    return target, logits.softmax(1)[:, None]


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_is_found_and_halves_the_error(temperature):
    target, probability = overconfident(temperature)
    found = Temperature.fit(target[:10000], probability[:10000], [3])
    assert float(found.temperature) == pytest.approx(temperature, rel=0.1)
    target, probability = target[10000:], probability[10000:]
    after = found(probability)
    assert torch.equal(after.argmax(-1), probability.argmax(-1))
    torch.testing.assert_close(after.sum(-1), torch.ones(10000, 1).double())
    before, after = (of_classes(target, told, [3]) for told in (probability, after))
    assert float(after["ece"]) < 0.03
    if temperature != 1:
        assert after["ece"] < 0.5 * before["ece"]
        assert after["nll"] < before["nll"]


@pytest.mark.parametrize("temperature", [0.2, 5.0])
def test_the_auroc_of_two_classes_stays(temperature):
    target, probability = overconfident(temperature, n=400, classes=2)
    after = Temperature.fit(target, probability, [2])(probability)
    y = target[:, 0].long()
    for told in (after[:, 0, 1], 1 - after[:, 0, 0]):
        assert binary_auroc(told, y) == binary_auroc(probability[:, 0, 1].double(), y)


def test_rows_that_are_all_right_make_nothing_certain():
    target = torch.tensor([0.0, 1.0]).repeat(10)[:, None]
    probability = torch.tensor([[[0.9, 0.1]], [[0.1, 0.9]]]).repeat(10, 1, 1)
    after = Temperature.fit(target, probability, [2])(probability)
    # The smoothed target of a class with 10 rows is 11 / 12.
    assert float(after[0, 0, 0]) == pytest.approx(11 / 12, abs=1e-3)


def test_few_rows_or_one_class_teach_nothing():
    target, probability = overconfident(3.0, 40)
    columns = [target.clone(), torch.ones(40, 1), torch.full((40, 1), NAN)]
    columns[0][19:] = NAN
    found = Temperature.fit(torch.cat(columns, 1), probability.repeat(1, 3, 1), [3, 3, 3])
    assert found.learned.tolist() == [False] * 3
    assert found.known.tolist() == [19, 40, 0]
    assert torch.equal(found(probability.repeat(1, 3, 1))[:, 0], probability[:, 0].double())


def test_a_class_that_a_target_lacks_stays_impossible():
    probability = torch.tensor([[[0.3, 0.7, 0.0]]])
    after = Temperature(torch.tensor([30]), torch.tensor([2.0]))(probability)
    assert after[0, 0, 2] == 0
    assert float(after[0, 0, 1] / after[0, 0, 0]) == pytest.approx((7 / 3) ** 0.5)


@pytest.mark.parametrize("made", ["intervals", "temperature"])
def test_what_is_kept_gives_the_same_again(made, tmp_path):
    if made == "intervals":
        said = torch.randn(50, 2), torch.rand(50, 2)
        found = Intervals.fit(torch.randn(50, 2), *said)
    else:
        target, *said = overconfident(3.0, 100)
        found = Temperature.fit(target, *said, [3])
    torch.save(found.state(), tmp_path / "state")
    again = from_state(torch.load(tmp_path / "state", weights_only=True))
    torch.testing.assert_close(again(*said), found(*said), rtol=0, atol=0)


@pytest.mark.parametrize("confidence", [0, 1, 1.5, "0.9", True, None])
def test_a_confidence_that_is_none_is_named(confidence):
    with pytest.raises(ValueError, match="confidence must be above 0 and below 1"):
        check_confidence(confidence)


def test_the_calibration_error_of_classes_by_hand():
    """Two bins: 0.9 and 0.9 of which one is right, 0.6 which is right; one row is unknown."""
    said = torch.tensor([[0.9, 0.1], [0.1, 0.9], [0.6, 0.4], [0.5, 0.5]])[:, None]
    target = torch.tensor([[0.0], [0.0], [0.0], [NAN]])
    found = of_classes(target, said, [2])
    assert float(found["ece"]) == pytest.approx(2 / 3 * abs(0.9 - 0.5) + 1 / 3 * abs(0.6 - 1))
    nll = -(math.log(0.9) + math.log(0.1) + math.log(0.6)) / 3
    assert float(found["nll"]) == pytest.approx(nll)
    assert math.isnan(of_classes(torch.full((4, 1), NAN), said, [2])["ece"])


def test_the_calibration_error_of_numbers_by_hand():
    """Intervals that hold two of four targets whatever their confidence."""
    target = torch.tensor([[0.0], [0.5], [3.0], [-3.0], [NAN]])
    zero = torch.zeros(5, 1)
    found = of_numbers(target, zero, zero + 2, lambda level: (zero - 1, zero + 1), 0.9)
    assert float(found["coverage"]) == 0.5
    assert float(found["width"]) == 2
    levels = [k / 20 for k in range(1, 20)]
    assert float(found["ece"]) == pytest.approx(sum(abs(0.5 - c) for c in levels) / 19)
    expected = -norm(0, 2).logpdf([0.0, 0.5, 3.0, -3.0]).mean()
    assert float(found["nll"]) == pytest.approx(expected)


def test_normal_intervals_hold_what_they_say():
    lower, upper = normal(torch.tensor([[1.0]]), torch.tensor([[2.0]]))(0.9)
    assert float(upper) == pytest.approx(1 + 2 * norm.ppf(0.95))
    assert float(lower) == pytest.approx(1 - 2 * norm.ppf(0.95))


def test_each_target_without_ends_of_intervals_is_told():
    """Of 20 values no interval holds 99 %, of 200 one does."""
    settings = {"target_names": ["a", "b"], "optimizer": torch.optim.Adam}
    task = Regression(torch.nn.Identity(), target_mean=[0, 0], target_std=[1, 1], **settings)
    known = torch.tensor([20, 200])
    task.calibration = Intervals(known, torch.rand(200, 2), torch.ones(2), torch.ones(2))
    assert list(task.calibration_notes()) == []
    task.confidence = 0.99
    (note,) = task.calibration_notes()
    assert note.endswith("takes 99 known targets of the validation part, which has 20 of 'a'")


def test_of_nothing_calibrated_tasks_predict_nothing():
    settings = {"target_names": ["a", "b"], "optimizer": torch.optim.Adam}
    known = torch.tensor([20, 20])
    numbers = Regression(torch.nn.Identity(), target_mean=[0, 0], target_std=[1, 1], **settings)
    numbers.calibration = Intervals(known, torch.rand(20, 2), torch.ones(2), torch.ones(2))
    classes = Classification(torch.nn.Identity(), class_names=["x", "y"], **settings)
    classes.calibration = Temperature(known, torch.ones(2).double())
    for task in (numbers, classes):
        assert task.cells(task.predictions([])) == []
