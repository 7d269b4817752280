"""Pictures of what adapters have learned: how much messages count, and where."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

Rows = Sequence[Mapping[str, Any]]


def learned_heat_maps(rows: Rows) -> Figure:
    """Where the numbers of an adapter stand at the end, and how each layer came there.

    Left: layers and the places in them that have such numbers, at the last step. Right: layers
    over steps, in the mean of their places. Both are means of absolute values, in one scale.

    Args:
        rows (list of dict): Each has ``step``, ``layer``, ``site`` (``self_attn.o_proj``, or
            empty), ``name`` (``g``, ``scale``) and ``mean_abs``.

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
        ends = _grid(last, layers, sites, "site")
        course = _grid(own, layers, steps, "step")
        top = max(np.nanmax(ends), np.nanmax(course)) or 1.0
        image = _draw(left, ends, layers, [_short(site, name) for site in sites], top)
        left.set_title(f"|{name}| after {steps[-1]:,} steps", fontsize=9)
        _draw(right, course, layers, [f"{step:,}" for step in steps], top)
        right.set(xlabel="step")
        right.set_title(f"|{name}| of each layer", fontsize=9)
        figure.colorbar(image, ax=[left, right], shrink=0.8)
    return figure


def _grid(rows: Rows, layers: Sequence[int], columns: Sequence[Any], key: str) -> np.ndarray:
    """The means of layers (down) and columns; NaN where there is nothing."""
    sums, counts = np.zeros((2, len(layers), len(columns)))
    down, across = ({value: i for i, value in enumerate(one)} for one in (layers, columns))
    for row in rows:
        place = down[row["layer"]], across[row[key]]
        sums[place] += row["mean_abs"]
        counts[place] += 1
    return np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)


def _draw(axes: Axes, grid: np.ndarray, layers: Sequence[int], names: list[str], top: float) -> Any:
    image = axes.imshow(grid, cmap="magma_r", vmin=0, vmax=top, aspect="auto")
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
