"""Pictures of a run, and how all pictures are kept."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib import colormaps, rc_context
from matplotlib.colors import FuncNorm, to_rgb
from matplotlib.figure import Figure
from matplotlib.mathtext import MathTextParser
from matplotlib.text import Text
from torch_geometric.data import Data
from torch_geometric.utils import to_dense_adj

from gia.data.files import write_atomically

BLUE, ORANGE, GREY = "#2c6fbb", "#e07b39", "#8a8f98"
NAME = 40  # letters of a name in a file's name


def safe(name: str) -> str:
    """A name as a part of a file's name."""
    return re.sub(r"[^A-Za-z0-9.-]+", "_", name)[:NAME].strip("._-") or "unnamed"


def ink(colour: Any) -> str:
    """Black or white, whichever is read on a colour."""
    red, green, blue = to_rgb(colour)
    return "black" if 0.299 * red + 0.587 * green + 0.114 * blue > 0.45 else "white"


def shortened(text: str, letters: int) -> str:
    """A text of at most so many letters, with a sign where there were more."""
    return text if len(text) <= letters else f"{text[: letters - 1]}…"


def with_unit(name: str, unit: str | None) -> str:
    """What is written at an axis and over a column."""
    return f"{name} ({unit})" if unit else name


def save(figure: Figure, path: Path, kinds: Sequence[str] = ("png", "svg")) -> list[Path]:
    """Write a figure as PNG and as SVG beside it; the same figure gives the same files.

    Args:
        figure (Figure): The figure.
        path (Path): Where to, without a suffix; what follows a point in it is none.
        kinds (list of str): Which files.
    """
    written = []
    for text in figure.findobj(Text):
        # Names and units are the user's: what is no formula of matplotlib's is drawn as it is.
        text.set_parse_math(all(map(_can_be_drawn, text.get_text().split("\n"))))
    # Otherwise an SVG has the time, and names drawn by chance.
    with rc_context({"svg.hashsalt": path.name}):
        for kind in kinds:
            target = path.with_name(f"{path.name}.{kind}")
            metadata = {"Date": None} if kind == "svg" else None
            with write_atomically(target, "wb") as file:
                figure.savefig(file, format=kind, dpi=150, bbox_inches="tight", metadata=metadata)
            written.append(target)
            figure.set_layout_engine("none")  # the next kind is laid out as this one
    return written


def learning_curves(
    epochs: Sequence[dict[str, float]],
    baseline: float | None = None,
    *,
    loss_name: str = "loss (nats per symbol)",
    baseline_name: str = "best n-gram",
    kept: float | None = None,
) -> Figure:
    """Training and validation loss, both in eval mode, and the gap between them.

    Args:
        epochs (list of dict): As :class:`~gia.training.History` keeps them.
        baseline (float, optional): A validation loss to draw as a line for comparison.
        loss_name (str): What the loss is, with its unit.
        baseline_name (str): Whose loss the line is.
        kept (float, optional): The epoch whose model is kept; left out, that of the lowest
            validation loss.
    """
    step = [row["epoch"] + 1 for row in epochs]
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    loss, gap = figure.subplots(1, 2)
    loss.plot(step, [row["train_eval/loss"] for row in epochs], color=BLUE, label="training")
    loss.plot(step, [row["val/loss"] for row in epochs], color=ORANGE, label="validation")
    losses = np.array([row["val/loss"] for row in epochs])
    if np.isfinite(losses).any():
        numbers = [row["epoch"] for row in epochs]
        best = numbers.index(kept) if kept in numbers else int(np.nanargmin(losses))
        loss.plot(step[best], losses[best], "o", color=ORANGE, label=f"kept, epoch {step[best]}")
    if baseline is not None:
        loss.axhline(baseline, color=GREY, linestyle="--", linewidth=1, label=baseline_name)
    loss.set(xlabel="epoch", ylabel=loss_name, title="Loss, eval mode")
    loss.legend(frameon=False)
    gap.plot(step, [row["generalisation_gap"] for row in epochs], color=BLUE)
    gap.axhline(0, color=GREY, linewidth=0.8)
    gap.set(xlabel="epoch", ylabel="validation - training loss", title="Generalisation gap")
    for axes in (loss, gap):
        axes.spines[["top", "right"]].set_visible(False)
        axes.xaxis.get_major_locator().set_params(integer=True)
    return figure


def graph_matrices(
    graphs: Mapping[str, Data], labels: Sequence[str], title: str = "", *, columns: int = 6
) -> Figure:
    """Several graphs over the same nodes as matrices on one scale: row i is what arrives at node i.

    Each is titled with its name and the number of its edges. Colours follow the root of a weight,
    so that weak edges are seen, and end at 1 and -1.

    Args:
        graphs (dict): ``edge_index [2, E]`` and ``edge_weight [E]`` of each graph, by its name.
        labels (list of str): A name for each node, ``[L]``.
        title (str): Over the whole figure.
        columns (int): Matrices side by side.
    """
    columns = min(columns, len(graphs))
    rows = -(-len(graphs) // columns)
    figure = Figure(figsize=(1.62 * columns + 0.3, 2.02 * rows + 0.7), layout="constrained")
    colours = colormaps["RdBu_r"].with_extremes(bad="#cdd1d8")  # no edge
    scale = FuncNorm((_signed_root, _signed_square), vmin=-1, vmax=1)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat[len(graphs) :]:
        axes.axis("off")
    ticks = range(len(labels))
    for axes, (name, graph) in zip(grid.flat, graphs.items(), strict=False):
        weights, joined = (
            to_dense_adj(graph.edge_index, None, values, len(labels))[0].T
            for values in (graph.edge_weight.float().cpu(), None)
        )
        weights = weights.masked_fill(joined == 0, torch.nan)  # no edge, no colour
        image = axes.imshow(weights.numpy(), cmap=colours, norm=scale)
        axes.set_xticks(ticks, labels, fontsize=4)
        axes.set_yticks(ticks, labels, fontsize=4)
        axes.tick_params(length=0, pad=1)
        axes.set_title(f"{name}\n{int(joined.count_nonzero())} edges", fontsize=7)
    for axes in grid[:, 0]:
        axes.set_ylabel("target (reads)", fontsize=6)
    for axes in grid[-1]:
        axes.set_xlabel("source (is read)", fontsize=6)
    bar = figure.colorbar(
        image, ax=figure.axes, location="bottom", shrink=0.4, aspect=50, pad=0.01, extend="both"
    )
    bar.set_label("edge weight; grey: no edge", fontsize=7)
    bar.set_ticks([-1, -0.5, -0.2, -0.05, 0, 0.05, 0.2, 0.5, 1])
    bar.ax.tick_params(labelsize=6)
    figure.suptitle(title, fontsize=9)
    return figure


def _can_be_drawn(line: str) -> bool:
    if "$" not in line:
        return True
    try:
        MathTextParser("path").parse(line)
    except ValueError:
        return False
    return True


def _signed_root(weight: np.ndarray) -> np.ndarray:
    return np.sign(weight) * np.sqrt(np.abs(weight))


def _signed_square(root: np.ndarray) -> np.ndarray:
    return np.sign(root) * np.square(root)
