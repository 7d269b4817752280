"""Pictures of all layers and heads of a model side by side."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from gia.analysis.attention_figures import LABEL, MOST_LABELS, name_nodes, readable_ticks
from gia.analysis.figures import BLUE
from gia.analysis.pairs import Head

SIDE = 1.25  # inches of a matrix among many
DARKEST = 0.995  # the share of weights that colours tell apart
MOST_HEADS = 16  # beside each other


def all_heads(
    weights: Mapping[int, np.ndarray], heads: Mapping[int, Sequence[int]], title: str = ""
) -> Figure:
    """The matrices of all heads, a row for each layer, whose heads have one scale.

    Args:
        weights (dict): ``[H, N, N]`` of each layer, by its number.
        heads (dict): The numbers of its heads.
        title (str): Over the whole figure.
    """
    columns = min(max(map(len, heads.values())), MOST_HEADS)
    size = (SIDE * columns + 1.3, SIDE * len(weights) + 0.8)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(len(weights), columns, squeeze=False)
    for row, (layer, matrices) in zip(grid, weights.items(), strict=True):
        scale = _scale(matrices)
        for place, axes in enumerate(row):
            if place >= len(matrices):
                axes.axis("off")
                continue
            matrix = np.ma.masked_equal(np.abs(matrices[place]), 0)  # no edge, no colour
            axes.imshow(matrix, cmap="magma_r", norm=scale, interpolation="nearest")
            axes.set(xticks=[], yticks=[])
            axes.set_title(f"head {heads[layer][place]}", fontsize=7, pad=2)
        row[0].set_ylabel(f"layer {layer}", fontsize=8)
        bar = figure.colorbar(
            ScalarMappable(scale, "magma_r"), ax=list(row), pad=0.01, extend="max", aspect=14
        )
        bar.ax.tick_params(labelsize=6)
    more = max(map(len, heads.values())) - columns
    told = f"; {more} more heads are not drawn" if more > 0 else ""
    figure.suptitle(f"{title}: edge weights, target by source, one scale a layer{told}", fontsize=9)
    return figure


def effective_graph(effective: np.ndarray, labels: Sequence[str], title: str = "") -> Figure:
    """What each node has of each other after all layers, as a matrix.

    Args:
        effective (ndarray): ``[N, N]``, of :func:`gia.analysis.attention_rollout`.
        labels (list of str): A name for each node.
        title (str): Over the figure.
    """
    side = LABEL * min(max(len(labels), 25), MOST_LABELS)
    figure = Figure(figsize=(side + 1.2, side + 0.6), layout="constrained")
    axes = figure.subplots()
    scale = _scale(effective)
    matrix = np.ma.masked_equal(effective, 0)
    image = axes.imshow(matrix, cmap="magma_r", norm=scale, interpolation="nearest")
    name_nodes(axes, labels, readable_ticks(labels))
    axes.set_xlabel("source (is read)", fontsize=8)
    axes.set_ylabel("target (reads)", fontsize=8)
    figure.colorbar(image, shrink=0.7, extend="max", label="share, through all layers")
    axes.set_title(f"{title}: attention rollout", fontsize=10)
    return figure


def eigenvalue_curves(eigenvalues: Mapping[Head, np.ndarray], title: str = "") -> Figure:
    """The eigenvalues of each head's normalised Laplacian, in their order, a panel a layer.

    Args:
        eigenvalues (dict): ``[N]`` of each layer and head, the smallest first.
        title (str): Over the whole figure.
    """
    layers = list(dict.fromkeys(layer for layer, _ in eigenvalues))
    columns = min(len(layers), 4)
    rows = -(-len(layers) // columns)
    figure = Figure(figsize=(2.5 * columns + 0.4, 2.0 * rows + 0.6), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for axes in grid.flat[len(layers) :]:
        axes.axis("off")
    panels = dict(zip(layers, grid.flat, strict=False))
    for (layer, _), values in eigenvalues.items():
        number = np.arange(1, len(values) + 1)
        panels[layer].plot(number, values, color=BLUE, alpha=0.6, linewidth=1)
    for layer, axes in panels.items():
        axes.set_title(f"layer {layer}", fontsize=8)
        axes.tick_params(labelsize=7)
        axes.spines[["top", "right"]].set_visible(False)
    for axes in grid[:, 0]:
        axes.set_ylabel("eigenvalue", fontsize=8)
    for axes in grid[-1]:
        axes.set_xlabel("in order", fontsize=8)
    figure.suptitle(f"{title}: normalised Laplacians, a line for each head", fontsize=9)
    return figure


def darkest(weight: np.ndarray) -> float:
    """The size of the weights from which on colours tell nothing apart; 1 where there are none."""
    size = np.abs(weight)
    return float(np.quantile(size[size > 0], DARKEST)) if size.any() else 1.0


def _scale(weight: np.ndarray) -> PowerNorm:
    """Colours by the root of a weight, up to nearly the largest."""
    return PowerNorm(0.5, vmin=0, vmax=darkest(weight), clip=False)
