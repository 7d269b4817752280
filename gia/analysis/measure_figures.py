"""Pictures of measures of graphs over a training."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

COLUMNS = 4
NOT_MEASURED = ("step", "layer")


def measure_curves(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """A panel for each measure: a line for each layer over steps, the deeper the darker.

    Args:
        rows (list of dict): ``step``, ``layer`` and the measures that there are of it.

    Raises:
        ValueError: If there are none.
    """
    names = [
        name for name in dict.fromkeys(n for row in rows for n in row) if name not in NOT_MEASURED
    ]
    if not names:
        raise ValueError("there is nothing to draw: no layer was measured")
    layers = sorted({row["layer"] for row in rows})
    columns = min(COLUMNS, len(names))
    lines = -(-len(names) // columns)
    figure = Figure(figsize=(2.7 * columns + 0.9, 2.1 * lines + 0.3), layout="constrained")
    grid = figure.subplots(lines, columns, squeeze=False, sharex=True)
    for axes in grid.flat[len(names) :]:
        axes.axis("off")
    scale = Normalize(min(layers) - 1, max(layers))
    for axes, name in zip(grid.flat, names, strict=False):
        for layer in layers:
            points = [
                (row["step"], row[name]) for row in rows if row["layer"] == layer and name in row
            ]
            if points:
                colour = colormaps["viridis_r"](scale(layer))
                axes.plot(*zip(*points, strict=True), color=colour, marker=".", markersize=3)
        axes.set_title(name.replace("_", " "), fontsize=8)
        axes.tick_params(labelsize=7, labelbottom=True)
        axes.spines[["top", "right"]].set_visible(False)
    for axes in grid[-1]:
        axes.set_xlabel("step", fontsize=8)
    bar = figure.colorbar(ScalarMappable(scale, "viridis_r"), ax=figure.axes, shrink=0.6)
    bar.set_label("layer", fontsize=8)
    bar.set_ticks(layers if len(layers) <= 12 else layers[:: len(layers) // 8])
    bar.ax.tick_params(labelsize=7)
    return figure
