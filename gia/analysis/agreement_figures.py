"""How well attention agrees with a given graph, as pictures."""

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure

from gia.analysis.agreement import HEAD, RANDOM, REGRESSION, Agreement, Value
from gia.analysis.contact_figures import BESIDE, mark_pairs
from gia.analysis.pairs import Pairs, far_apart

# What is drawn of each head, its name, and the colours.
SHOWN = {"auroc": ("AUROC", "PuOr_r"), "precision_L": ("precision at L", "viridis")}
RULES = {"distance": "nearness in sequence", "degree": "product of degrees"}
MOST_LABELS = 64  # nodes that are named along an axis
MOST_NUMBERS = 16  # layers or heads, up to which cells have numbers


def agreement_heat_maps(found: Agreement) -> Figure:
    """The AUROC and the precision at L of each head, layer by layer; over each panel what the
    regression over all heads, a simple rule and chance come to.

    Args:
        found (Agreement): Of :func:`~gia.analysis.agreement.measure_agreement`.
    """
    heads = [value for value in found.values if value.predictor == HEAD]
    layers = sorted({value.layer for value in heads})
    most = max(value.head for value in heads)
    columns, rows = len(found.separations), len(SHOWN)
    size = max(4.2, 0.55 * most + 1.8), max(2.6, 0.36 * len(layers) + 1.5)
    figure = Figure(figsize=(columns * size[0], rows * size[1] + 0.4), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    for row, (measure, (name, colours)) in zip(grid, SHOWN.items(), strict=True):
        shown = [value for value in heads if value.measure == measure]
        known = [value.mean for value in shown if np.isfinite(value.mean)]
        low, high = _ends(measure, known)
        for axes, separation in zip(row, found.separations, strict=True):
            cells = np.full((len(layers), most), np.nan)
            for value in shown:
                if value.separation == separation:
                    cells[layers.index(value.layer), value.head - 1] = value.mean
            colour = colormaps[colours].with_extremes(bad="lightgrey")
            image = axes.imshow(cells, cmap=colour, vmin=low, vmax=high, aspect="auto")
            _write_numbers(axes, cells, image)
            axes.set_xticks(range(most), range(1, most + 1), fontsize=7)
            axes.set_yticks(range(len(layers)), layers, fontsize=7)
            axes.tick_params(length=0)
            axes.set_xlabel("head", fontsize=8)
            axes.set_ylabel("layer", fontsize=8)
            axes.set_title(_title(found, name, measure, separation), fontsize=8)
        _colour_bar(figure, image, list(row), name)
    figure.suptitle(
        f"Attention against the given graph, mean over {len(found.measured):,} items", fontsize=10
    )
    return figure


def agreement_map(
    pairs: Pairs,
    probability: np.ndarray,
    labels: Sequence[str],
    *,
    separation: int = 0,
    title: str = "",
    what: str = "node",
) -> Figure:
    """What the regression says of the pairs of an item, below the diagonal, and which the given
    graph joins, above it.

    Args:
        pairs (Pairs): The pairs.
        probability (ndarray): Of each that it is joined, ``[P]``.
        labels (list of str): A name of each node, ``[N]``.
        separation (int): Nearer pairs of a sequence are left grey.
        title (str): Over the figure.
        what (str): What a node is.
    """
    number = pairs.num_nodes
    counts = far_apart(pairs.distance, len(pairs.joined), separation)
    first, second = pairs.nodes[:, counts]
    predicted = np.full((number, number), np.nan)
    predicted[second, first] = probability[counts]
    figure = Figure(figsize=(6.2, 5.4), layout="constrained")
    axes = figure.subplots()
    colour = colormaps["magma_r"].with_extremes(bad=BESIDE)
    image = axes.imshow(predicted, cmap=colour, vmin=0, vmax=max(np.nanmax(predicted), 1e-9))
    mark_pairs(axes, pairs.nodes[:, counts & pairs.joined], number, points=250, least=1.5)
    named = number <= MOST_LABELS
    if named:
        axes.set_xticks(range(number), labels)
        axes.set_yticks(range(number), labels)
    crowded = named and number > MOST_LABELS // 2
    axes.tick_params(length=0 if named else 2, labelsize=5 if crowded else 7)
    axes.set_xlabel(f"{what}; orange above the diagonal: joined by the given graph", fontsize=8)
    axes.set_ylabel(f"{what}; below the diagonal: the regression", fontsize=8)
    _colour_bar(figure, image, axes, "probability that a pair is joined")
    axes.set_title(title, fontsize=9)
    return figure


def _ends(measure: str, known: Sequence[float]) -> tuple[float, float]:
    """Of the colours: around chance for AUROC, from 0 for a precision."""
    if measure == "auroc":
        reach = max([abs(value - 0.5) for value in known] + [0.05])
        return 0.5 - reach, 0.5 + reach
    return 0.0, max([*known, 0.05])


def _colour_bar(figure: Figure, image, axes, label: str) -> None:
    bar = figure.colorbar(image, ax=axes, shrink=0.85, pad=0.02)
    bar.set_label(label, fontsize=8)
    bar.ax.tick_params(labelsize=7)


def _write_numbers(axes, cells: np.ndarray, image) -> None:
    if max(cells.shape) > MOST_NUMBERS:
        return
    for (row, column), value in np.ndenumerate(cells):
        if np.isfinite(value):
            red, green, blue, _ = image.cmap(image.norm(value))
            dark = 0.3 * red + 0.59 * green + 0.11 * blue < 0.5
            text = f"{value:.2f}".removeprefix("0")
            colour = "white" if dark else "black"
            axes.text(column, row, text, ha="center", va="center", fontsize=7, color=colour)


def _title(found: Agreement, name: str, measure: str, separation: int) -> str:
    def said(predictor: str, label: str) -> str:
        value: Value = found.find(predictor, separation, measure)
        return f"{label} {value.mean:.2f}"

    pairs = f"pairs {separation} or more apart" if separation else "all pairs"
    rules = [(REGRESSION, "regression"), (found.rule, RULES[found.rule]), (RANDOM, "chance")]
    return f"{name}, {pairs}\n" + ", ".join(said(*rule) for rule in rules)
