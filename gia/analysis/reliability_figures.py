"""Pictures of how far what is said of errors is true."""

import math
from collections.abc import Mapping, Sequence

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from gia.analysis.figures import BLUE, GREY, ORANGE, with_unit
from gia.analysis.prediction_figures import known_panels, panels_of
from gia.data.targets import ClassNames, classes_of_each

BINS = 10  # points of a curve, at most
FEWEST = 15  # rows of a point, twice as many where each is only right or wrong
BEFORE, AFTER = "before", "calibrated"


def coverage_plot(
    levels: Sequence[float], shares: Mapping[str, Tensor], target_names: Sequence[str]
) -> Figure:
    """How many targets lie in intervals of each confidence, over how many should; and how far these
    are apart in the mean, the expected calibration error (ECE).

    Args:
        levels (list of float): The confidences, ``[S]``.
        shares (dict): By ``"before"`` and ``"calibrated"``, or one of them, the shares that lie in
            them; NaN where there is none.
        target_names (list of str): ``[T]``; one panel for each of the first six.

    Shapes:
        - **each of shares:** ``[S, T]``
    """
    figure, panels = panels_of(target_names, 3.8, 3.8)
    for number, axes in enumerate(panels):
        _diagonal(axes, "confidence of the interval", "share of the targets in it")
        for name, share in shares.items():
            inside = share[:, number].tolist()
            apart = [abs(one - other) for one, other in zip(inside, levels, strict=True)]
            label = f"{name}, ECE {sum(apart) / len(apart):.3f}"
            axes.plot(levels, inside, marker="o", markersize=3, color=_color(name), label=label)
        axes.legend(frameon=False, fontsize=8, loc="lower right" if len(shares) == 1 else "best")
    return figure


def reliability_diagram(
    target: Tensor,
    probabilities: Mapping[str, Tensor],
    target_names: Sequence[str],
    class_names: ClassNames,
) -> Figure:
    """How often the likeliest class is the true one, over its probability, in bins of as many rows
    each.

    Args:
        target (Tensor): Index of the class, NaN where missing.
        probabilities (dict): By ``"before"`` and ``"calibrated"``, or one of them, those of each
            class.
        target_names (list of str): ``[T]``; one panel for each of the first six.
        class_names (list): The classes of every target, or a list for each; C at most.

    Shapes:
        - **target:** ``[R, T]``
        - **each of probabilities:** ``[R, T, C]``
    """
    figure, panels = panels_of(target_names, 3.8, 3.8)
    each = classes_of_each(class_names, len(target_names))
    for name, probability in probabilities.items():
        for axes, _, y, told in known_panels(panels, each, target, probability):
            sure, chosen = told.max(1)
            right = (chosen == y.long()).double()
            points = [(sure[rows].mean(), right[rows].mean()) for rows in _bins(sure, 2 * FEWEST)]
            color = _color(name)
            axes.plot(*zip(*points, strict=True), marker="o", markersize=3, color=color, label=name)
    for axes in panels:
        if axes.get_lines():
            least = min(float(line.get_xydata().min()) for line in axes.get_lines())
            low = max(math.floor(10 * least) - 1, 0) / 10  # of two classes, half of it is empty
            _diagonal(axes, "probability of the likeliest class", "share that is right", low)
            axes.legend(frameon=False, fontsize=8, loc="lower right")
    return figure


def error_over_uncertainty(
    target: Tensor,
    prediction: Tensor,
    std: Tensor,
    target_names: Sequence[str],
    units: Sequence[str | None] | None = None,
) -> Figure:
    """How far off predictions are, over how far off they say they may be; and in bins of as many
    rows each the root of the mean square of both, which should lie on the line.

    Args:
        target (Tensor): NaN where missing.
        prediction, std (Tensor): In the same units.
        target_names (list of str): ``[T]``; one panel for each of the first six.
        units (list of str, optional): Of the targets, ``[T]``; None where there is none.

    Shapes:
        - **target, prediction, std:** ``[R, T]``
    """
    figure, panels = panels_of(target_names, 4.2, 3.6)
    both = torch.stack([prediction.double(), std.double()], -1)
    units = units or [None] * len(target_names)
    for axes, unit, y, told in known_panels(panels, units, target, both):
        error, spread = (told[:, 0] - y).abs(), told[:, 1]
        size, alpha = (14, 0.5) if len(y) < 500 else (6, 0.3)
        axes.scatter(spread, error, s=size, alpha=alpha, color=BLUE, linewidths=0, rasterized=True)
        points = [(_root(spread[rows]), _root(error[rows])) for rows in _bins(spread, FEWEST)]
        axes.plot(*zip(*points, strict=True), marker="o", color=ORANGE, label="root mean square")
        low, high = (float(end) for end in spread.aminmax())
        axes.plot([low, high], [low, high], color=GREY, linewidth=1, label="as it should be")
        margin = 0.05 * (high - low) or 0.5 * high or 1.0
        axes.set(xlabel=f"uncertainty (standard deviation{', ' + unit if unit else ''})")
        axes.set(ylabel=with_unit("|prediction - target|", unit))
        axes.set(xlim=(max(low - margin, 0), high + margin), ylim=(0, None))
        axes.legend(frameon=False, fontsize=8)
    return figure


def _bins(values: Tensor, fewest: int) -> list[Tensor]:
    """Rows by their value, as many in each."""
    return list(values.argsort().tensor_split(min(BINS, max(len(values) // fewest, 1))))


def _root(values: Tensor) -> float:
    return float(values.square().mean().sqrt())


def _color(name: str) -> str:
    return GREY if name == BEFORE else BLUE


def _diagonal(axes: Axes, x: str, y: str, low: float = 0) -> None:
    axes.plot([low, 1], [low, 1], color=GREY, linewidth=1, linestyle=":", zorder=0)
    axes.set(xlim=(low, 1.02), ylim=(low, 1.02), aspect="equal", xlabel=x, ylabel=y)
