"""Pictures of a comparison."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure

from gia_duel.results import Results, Row, Table

POINTS = 60  # of a mean curve


def validation_curves(results: Results) -> Figure:
    """The watched validation metric against steps, mean and spread, a panel for each data set.

    Args:
        results (Results): All that there is of a plan; what is missing is not drawn.
    """
    plan, tables = results.plan, list(results.tables.values())
    columns = min(len(tables), 3 if len(tables) != 4 else 2)
    lines = math.ceil(len(tables) / columns)
    figure = Figure(figsize=(4.6 * columns, 3.3 * lines + 0.9), layout="constrained")
    panels = figure.subplots(lines, columns, squeeze=False).flatten()
    palette = colormaps["tab10"].colors
    colours = {name: palette[i % len(palette)] for i, name in enumerate(plan.variants)}
    dashes = {name: "-" if i < len(palette) else "--" for i, name in enumerate(plan.variants)}
    handles = {}
    for axes, table in zip(panels, tables, strict=False):
        lowest, highest = [], []
        for name, row in table.rows.items():
            steps, mean, spread = mean_curve(row)
            if not len(steps):
                continue
            ours = row.family == plan.duel[0]
            (line,) = axes.plot(
                steps, mean, color=colours[name], linestyle=dashes[name],
                linewidth=2 if ours else 1, zorder=3 if ours else 2,
            )  # fmt: skip
            axes.fill_between(
                steps, mean - spread, mean + spread, color=colours[name], alpha=0.12, linewidth=0
            )
            handles.setdefault(name, line)
            later = mean[len(mean) // 8 :]
            lowest.append(later.min())
            highest.append(later.max())
        _finish_panel(axes, table, lowest, highest)
    for axes in panels[len(tables) :]:
        axes.set_axis_off()
    if handles:
        figure.legend(
            handles.values(), handles, loc="outside lower center", ncols=min(len(handles), 6),
            frameon=False, fontsize=8,
        )  # fmt: skip
    return figure


def mean_curve(row: Row) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Steps, and the mean and standard deviation of the curves of all replicates there.

    Replicates may be measured after other numbers of steps: their curves are read off at common
    ones, in between linearly, and only where every replicate has been measured.
    """
    curves = [_points(record["curve"]) for _, record in row.chosen.values()]
    curves = [curve for curve in curves if len(curve) > 1]
    if not curves:
        return (np.empty(0),) * 3
    start = max(curve[0, 0] for curve in curves)
    stop = min(curve[-1, 0] for curve in curves)
    if stop <= start:
        return (np.empty(0),) * 3
    steps = np.linspace(start, stop, POINTS)
    values = np.stack([np.interp(steps, curve[:, 0], curve[:, 1]) for curve in curves])
    spread = values.std(0, ddof=1) if len(values) > 1 else np.zeros(POINTS)
    return steps, values.mean(0), spread


def _points(curve: Sequence[Sequence[float | None]]) -> np.ndarray:
    return np.array([point for point in curve if point[1] is not None], dtype=float)


def _finish_panel(axes, table: Table, lowest: list[float], highest: list[float]) -> None:
    dataset = table.dataset
    metric, better = dataset.watched
    axes.set_title(dataset.name, fontsize=10)
    axes.set_xlabel("optimiser steps", fontsize=8)
    axes.set_ylabel(f"validation {metric} ({better} is better)", fontsize=8)
    axes.tick_params(labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)
    if lowest:  # the first steps, far from everything else, would flatten the rest
        margin = 0.12 * (max(highest) - min(lowest)) or 0.05 * abs(max(highest)) or 1
        axes.set_ylim(min(lowest) - margin, max(highest) + margin)
    else:
        axes.text(0.5, 0.5, "no curve yet", ha="center", va="center", transform=axes.transAxes)
