"""Pictures of what adapters have learned: how much messages count, and where."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

Rows = Sequence[Mapping[str, Any]]


def learned_heat_maps(rows: Rows) -> Figure:
    """Where the numbers of an adapter stand at the end, and how each layer came there.

    Left: layers and the places in them that have such numbers, at the last step, in the mean.
    Right: layers over steps, in the mean of absolute values over their places.

    Args:
        rows (list of dict): Each has ``step``, ``layer``, ``site`` (``self_attn.o_proj``, or
            empty), ``name`` (``g``, ``scale``), ``mean`` and ``mean_abs``.

    Raises:
        ValueError: If there are none.
    """
    if not rows:
        raise ValueError("there is nothing to draw: the adapter has learned no such numbers")
    names = list(dict.fromkeys(row["name"] for row in rows))
    layers = sorted({row["layer"] for row in rows})
    height = 0.6 + max(0.22 * len(layers), 1.6)
    figure = Figure(figsize=(9.5, height * len(names) + 0.4), layout="constrained")
    for name, (left, right) in zip(
        names, figure.subplots(len(names), 2, squeeze=False), strict=True
    ):
        own = [row for row in rows if row["name"] == name]
        steps = sorted({row["step"] for row in own})
        last = [row for row in own if row["step"] == steps[-1]]
        # In the order of a layer that has all of them: the first one may lack the first places.
        sites = list(dict.fromkeys(row["site"] for row in reversed(last)))[::-1]
        ends = _grid(last, layers, sites, "site", "mean")
        image = _draw(left, ends, layers, [_short(site, name) for site in sites], "RdBu_r")
        left.set_title(f"mean {name} after {steps[-1]:,} steps", fontsize=9)
        figure.colorbar(image, ax=left, shrink=0.8)
        course = _grid(own, layers, steps, "step", "mean_abs")
        image = _draw(right, course, layers, [f"{step:,}" for step in steps], "magma_r")
        right.set(xlabel="step")
        right.set_title(f"mean |{name}| of each layer", fontsize=9)
        figure.colorbar(image, ax=right, shrink=0.8)
    return figure


def _grid(
    rows: Rows, layers: Sequence[int], columns: Sequence[Any], key: str, value: str
) -> np.ndarray:
    """The means of layers (down) and columns; NaN where there is nothing."""
    sums, counts = np.zeros((2, len(layers), len(columns)))
    down, across = ({value: i for i, value in enumerate(one)} for one in (layers, columns))
    for row in rows:
        place = down[row["layer"]], across[row[key]]
        sums[place] += row[value]
        counts[place] += 1
    return np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)


def _draw(axes: Axes, grid: np.ndarray, layers: Sequence[int], names: list[str], cmap: str) -> Any:
    known = grid[np.isfinite(grid)]
    top = float(np.abs(known).max(initial=0.0)) or 1.0
    bottom = -top if cmap == "RdBu_r" else 0.0
    axes.set_facecolor("#e6e6e6")  # where there is none
    image = axes.imshow(grid, cmap=cmap, vmin=bottom, vmax=top, aspect="auto")
    every = -(-len(names) // 12)
    axes.set_xticks(range(0, len(names), every), names[::every], fontsize=7)
    if max(map(len, names)) > 6:
        axes.tick_params(axis="x", rotation=35)
    every = -(-len(layers) // 16)
    axes.set_yticks(range(0, len(layers), every), layers[::every], fontsize=7)
    axes.set_ylabel("layer", fontsize=8)
    axes.tick_params(length=0, pad=1)
    return image


def _short(site: str, name: str) -> str:
    return site.rpartition(".")[2] or name
