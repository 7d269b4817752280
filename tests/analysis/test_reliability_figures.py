"""Pictures of reliability show the numbers that they are given."""

import math

import pytest
import torch

from gia.analysis import coverage_plot, error_over_uncertainty, reliability_diagram


def line(axes, label):
    (found,) = [drawn for drawn in axes.get_lines() if drawn.get_label().startswith(label)]
    return torch.from_numpy(found.get_xydata()).double()


def test_coverage_is_drawn_over_confidence_with_the_error():
    shares = {
        "before": torch.tensor([[0.1, 0.3], [0.2, 0.9]]),
        "calibrated": torch.tensor([[0.3, 0.3], [0.9, 0.9]]),
    }
    figure = coverage_plot([0.3, 0.9], shares, ["a", "b"])
    first, second = figure.axes
    drawn = line(first, "before, ECE 0.450")  # (0.2 + 0.7) / 2
    torch.testing.assert_close(drawn, torch.tensor([[0.3, 0.1], [0.9, 0.2]]).double())
    line(first, "calibrated, ECE 0.000")
    assert second.get_title() == "b"


def test_a_reliability_diagram_has_the_share_that_is_right():
    """Sixty rows at 0.6, half of them right, and sixty at 0.9, all right; one is unknown."""
    sure = torch.cat([torch.tensor([0.6, 0.9]).repeat_interleave(60), torch.tensor([0.7])])
    probability = torch.stack([sure, 1 - sure], 1)[:, None]
    target = torch.zeros(121, 1)
    target[:30] = 1
    target[120] = math.nan
    figure = reliability_diagram(target, {"calibrated": probability}, ["a"], ["no", "yes"])
    points = line(figure.axes[0], "calibrated")
    low, high = points[points[:, 0] < 0.7], points[points[:, 0] > 0.7]
    assert len(low) == len(high) == 2
    assert float(low[:, 1].mean()) == pytest.approx(0.5)
    assert high[:, 1].tolist() == pytest.approx([1.0] * len(high))
    assert high[:, 0].tolist() == pytest.approx([0.9] * len(high))
    assert figure.axes[0].get_xlim()[0] <= 0.5


def test_errors_lie_on_the_line_where_uncertainty_is_true():
    torch.manual_seed(0)
    std = torch.linspace(0.5, 3, 4000)[:, None]
    prediction = torch.zeros(4000, 1)
    figure = error_over_uncertainty(std * torch.randn(4000, 1), prediction, std, ["a"])
    points = line(figure.axes[0], "root mean square")
    assert len(points) == 10
    torch.testing.assert_close(points[:, 1], points[:, 0], rtol=0.15, atol=0)
    assert len(figure.axes[0].collections[0].get_offsets()) == 4000


@pytest.mark.parametrize("std", [torch.zeros(40, 1), torch.ones(40, 1)])
def test_uncertainties_that_are_all_the_same_can_be_drawn(std):
    figure = error_over_uncertainty(torch.randn(40, 1), torch.zeros(40, 1), std, ["a"])
    low, high = figure.axes[0].get_xlim()
    assert low < high


def test_a_target_that_is_unknown_says_so():
    nothing = torch.full((5, 1), math.nan)
    figure = error_over_uncertainty(nothing, torch.zeros(5, 1), torch.ones(5, 1), ["a"])
    assert [text.get_text() for text in figure.axes[0].texts] == ["no known target"]
    probability = {"calibrated": torch.ones(5, 1, 2) / 2}
    figure = reliability_diagram(nothing, probability, ["a"], ["no", "yes"])
    assert not figure.axes[0].get_lines()
