"""Pictures of predictions: how near numbers are, and how well classes are told apart."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor
from torchmetrics.functional import mean_absolute_error, mean_squared_error, r2_score
from torchmetrics.functional.classification import (
    binary_auroc,
    binary_roc,
    multiclass_confusion_matrix,
)

from gia.analysis.figures import BLUE, GREY, ORANGE, with_unit
from gia.data.targets import ClassNames, classes_of_each

MOST_PANELS = 6  # targets in one picture
MOST_CURVES = 10  # classes in one panel
MOST_COUNTS = 12  # classes of a matrix whose cells are big enough for their numbers


def parity_plot(
    target: Tensor,
    prediction: Tensor,
    target_names: Sequence[str],
    units: Sequence[str | None] | None = None,
) -> Figure:
    """Predictions over targets, the line where they are equal, and how far from it they are.

    Args:
        target (Tensor): NaN where missing.
        prediction (Tensor): In the same units.
        target_names (list of str): ``[T]``; one panel for each of the first six.
        units (list of str, optional): Of the targets, ``[T]``; None where there is none.

    Shapes:
        - **target, prediction:** ``[R, T]``
    """
    figure, panels = panels_of(target_names, 3.8, 3.8)
    units = units or [None] * len(target_names)
    for axes, unit, y, said in known_panels(panels, units, target, prediction):
        low, high = (float(end) for end in torch.cat([y, said]).aminmax())
        margin = 0.04 * (high - low) or 1.0
        ends = (low - margin, high + margin)
        axes.plot(ends, ends, color=GREY, linewidth=1, zorder=0)
        # Thousands of points are one image in the SVG.
        size, alpha = (14, 0.7) if len(y) < 500 else (6, 0.35)
        axes.scatter(y, said, s=size, alpha=alpha, color=BLUE, linewidths=0, rasterized=True)
        axes.set(xlim=ends, ylim=ends, aspect="equal")
        axes.set(xlabel=with_unit("target", unit), ylabel=with_unit("prediction", unit))
        axes.text(
            0.04, 0.96, _errors(y, said, unit), transform=axes.transAxes, va="top", fontsize=8
        )
    return figure


def residual_histogram(
    target: Tensor,
    prediction: Tensor,
    target_names: Sequence[str],
    units: Sequence[str | None] | None = None,
) -> Figure:
    """How often a prediction is how far above (right) or below its target.

    Args:
        target (Tensor): NaN where missing.
        prediction (Tensor): In the same units.
        target_names (list of str): ``[T]``; one panel for each of the first six.
        units (list of str, optional): Of the targets, ``[T]``; None where there is none.

    Shapes:
        - **target, prediction:** ``[R, T]``
    """
    figure, panels = panels_of(target_names, 4.2, 3.2)
    units = units or [None] * len(target_names)
    for axes, unit, y, said in known_panels(panels, units, target, prediction):
        residual = said - y
        bins = min(max(int(math.sqrt(len(y))), 5), 60)
        axes.hist(residual.tolist(), bins=bins, color=BLUE, edgecolor="white", linewidth=0.4)
        axes.axvline(0, color=GREY, linewidth=1)
        mean = float(residual.mean())
        axes.axvline(mean, color=ORANGE, linestyle="--", linewidth=1, label=f"mean {mean:.3g}")
        axes.set(xlabel=with_unit("prediction - target", unit), ylabel="count")
        axes.legend(frameon=False, fontsize=8)
    return figure


def confusion_matrix(
    target: Tensor, probability: Tensor, target_names: Sequence[str], class_names: ClassNames
) -> Figure:
    """Counts of the likeliest class (columns) for each true one (rows); a row's colours are shares.

    Args:
        target (Tensor): Index of the class, NaN where missing.
        probability (Tensor): Of each class.
        target_names (list of str): ``[T]``; one panel for each of the first six.
        class_names (list): The classes of every target, or a list for each; C at most.

    Shapes:
        - **target:** ``[R, T]``
        - **probability:** ``[R, T, C]``
    """
    each = classes_of_each(class_names, len(target_names))
    side = min(max(0.45 * max(map(len, each)), 2.4), 7)
    figure, panels = panels_of(target_names, side + 1.4, side + 0.9)
    for axes, names, y, said in known_panels(panels, each, target, probability):
        classes = len(names)
        counts = multiclass_confusion_matrix(said[:, :classes].argmax(1), y.long(), classes)
        shares = counts / counts.sum(1, keepdim=True).clamp(min=1)
        image = axes.imshow(shares.numpy(), cmap="Blues", vmin=0, vmax=1)
        axes.set_xticks(range(classes), names, rotation=90 if classes > 4 else 0, fontsize=7)
        axes.set_yticks(range(classes), names, fontsize=7)
        axes.set(xlabel="predicted class", ylabel="true class")
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
        figure.colorbar(image, ax=axes, shrink=0.75, label="share of the true class")
        if classes <= MOST_COUNTS:
            for row, column in torch.cartesian_prod(*[torch.arange(classes)] * 2).tolist():
                colour = "white" if shares[row, column] > 0.5 else "black"
                count = f"{int(counts[row, column]):,}"
                axes.text(column, row, count, ha="center", va="center", color=colour, fontsize=8)
    return figure


def roc_curves(
    target: Tensor, probability: Tensor, target_names: Sequence[str], class_names: ClassNames
) -> Figure:
    """True over false positive rate: of the second of two classes, or of each against the rest.

    Args:
        target (Tensor): Index of the class, NaN where missing.
        probability (Tensor): Of each class.
        target_names (list of str): ``[T]``; one panel for each of the first six.
        class_names (list): The classes of every target, or a list for each, C at most; a panel has
            the ten commonest.

    Shapes:
        - **target:** ``[R, T]``
        - **probability:** ``[R, T, C]``
    """
    figure, panels = panels_of(target_names, 3.9, 3.9)
    each = classes_of_each(class_names, len(target_names))
    for axes, names, y, said in known_panels(panels, each, target, probability):
        counts = y.long().bincount(minlength=len(names))
        chosen = counts.argsort(descending=True, stable=True)[:MOST_CURVES].sort().values.tolist()
        curves = [1] if len(names) == 2 else chosen
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle="--")
        for place, index in enumerate(curves):
            colour = BLUE if len(curves) == 1 else colormaps["tab10"](place)
            positive = (y == index).long()
            if 0 < positive.sum() < len(y):
                false, true, _ = binary_roc(said[:, index], positive)
                area = binary_auroc(said[:, index], positive)
                label = f"{names[index]}: AUROC {area:.3f}"
                axes.plot(false, true, color=colour, label=label)
            else:
                axes.plot([], [], color=colour, label=f"{names[index]}: no curve")
        axes.set(xlabel="false positive rate", ylabel="true positive rate", aspect="equal")
        title = None
        if len(names) > 2:
            some = f" ({len(curves)} of {len(names)})" if len(names) > len(curves) else ""
            title = f"each class against the rest{some}"
        legend = axes.legend(frameon=False, fontsize=7, loc="lower right", title=title)
        legend.get_title().set_fontsize(7)
    return figure


def panels_of(names: Sequence[str], width: float, height: float) -> tuple[Figure, list[Axes]]:
    """One panel for each target, as many as there is room for."""
    shown = list(names[:MOST_PANELS])
    columns = min(len(shown), 3)
    rows = -(-len(shown) // columns)
    figure = Figure(figsize=(columns * width, rows * height), layout="constrained")
    grid = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes in grid[len(shown) :]:
        axes.axis("off")
    for axes, name in zip(grid, shown, strict=False):
        axes.set_title(name, fontsize=9)
        axes.spines[["top", "right"]].set_visible(False)
    if len(names) > len(shown):
        figure.suptitle(f"the first {len(shown)} of {len(names)} targets", fontsize=9)
    return figure, grid[: len(shown)]


def known_panels(
    panels: list[Axes], of_each: Sequence[Any], target: Tensor, prediction: Tensor
) -> Iterator[tuple[Axes, Any, Tensor, Tensor]]:
    """Each panel with what is given of its target and its known values; one without any says so."""
    target, prediction = target.detach().cpu(), prediction.detach().cpu()
    for number, (axes, given) in enumerate(zip(panels, of_each, strict=False)):
        known = ~target[:, number].isnan()
        if known.any():
            yield axes, given, target[known, number].double(), prediction[known, number].double()
        else:
            axes.text(0.5, 0.5, "no known target", ha="center", transform=axes.transAxes)
            axes.set(xticks=[], yticks=[])


def _errors(y: Tensor, said: Tensor, unit: str | None) -> str:
    errors = {
        "MAE": mean_absolute_error(said, y),
        "RMSE": mean_squared_error(said, y, squared=False),
    }
    lines = [f"{name} {error:.3g} {unit or ''}".strip() for name, error in errors.items()]
    spread = y.std() if len(y) > 1 else torch.zeros(())
    if spread > 0:  # the same in units of the spread, where none is too small for r2_score
        lines.append(f"R² {r2_score((said - y.mean()) / spread, (y - y.mean()) / spread):.3f}")
    return "\n".join([*lines, f"n {len(y):,}"])
