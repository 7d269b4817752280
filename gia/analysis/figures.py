"""Pictures of a run: its curves and the graphs that its model draws."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import torch
from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.colors import FuncNorm, to_rgb
from matplotlib.figure import Figure
from matplotlib.mathtext import MathTextParser
from matplotlib.text import Text
from torch_geometric.data import Data
from torch_geometric.utils import to_dense_adj

from gia.data.files import write_atomically

BLUE, ORANGE, GREY = "#2c6fbb", "#e07b39", "#8a8f98"
LABEL = 0.13  # inches that a label needs beside the next one
MOST_LABELS = 66  # of which a matrix has each; of more, every so manieth
LONGEST_NAME = 14  # letters of a node beside a matrix
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


def readable_ticks(labels: Sequence[str], most: int = MOST_LABELS) -> range:
    """The nodes that are named beside a matrix: all, or every so manieth of too many."""
    return range(0, len(labels), -(-len(labels) // most) or 1)


def name_nodes(axes: Axes, labels: Sequence[str], ticks: Sequence[int]) -> None:
    """Write the names of nodes beside a matrix and under it."""
    names = [shortened(labels[node], LONGEST_NAME) for node in ticks]
    long = any(len(name) > 3 for name in names)
    axes.set_xticks(ticks, names, fontsize=6.5, rotation=90 if long else 0)
    axes.set_yticks(ticks, names, fontsize=6.5)
    axes.tick_params(length=0, pad=1)


def attention_heat_map(graph: Data, labels: Sequence[str], title: str = "") -> Figure:
    """The weights of every head as a matrix: row i holds what arrives at node i.

    Args:
        graph (Data): ``edge_index [2, E]`` and ``edge_weight [E, H]``.
        labels (list of str): A name for each node, ``[L]``.
        title (str): Over the whole figure.
    """
    edge_weight = graph.edge_weight.float().cpu()
    weights = to_dense_adj(graph.edge_index, None, edge_weight, graph.num_nodes)[0]
    # Edges point from source to target, and a row is a target.
    weights = weights.permute(2, 1, 0)  # [H, L, L]
    signed = bool((weights < 0).any())
    highest = float(weights.abs().max())
    highest = highest if signed else max(highest, 1.0)  # a softmax's scale is the same everywhere
    colours = {"cmap": "RdBu_r", "vmin": -highest} if signed else {"cmap": "magma_r", "vmin": 0}
    weights = weights.masked_fill(weights == 0, torch.nan)  # no edge, no colour
    heads = weights.size(0)
    all_named = len(labels) <= MOST_LABELS
    side = max(LABEL * len(labels), 2.6) if all_named else 6.0
    ticks = readable_ticks(labels, MOST_LABELS if all_named else int(side / LABEL))
    columns = min(heads, 4 if side < 5 else 2)
    rows = -(-heads // columns)
    figure = Figure(figsize=(columns * side + 0.8, rows * side + 0.5), layout="constrained")
    # Heads line up, and nodes are named at the outer ones.
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for head, axes in enumerate(grid.flat):
        if head >= heads:
            axes.axis("off")
            continue
        image = axes.imshow(weights[head].numpy(), vmax=highest, **colours)
        name_nodes(axes, labels, ticks)
        axes.set_title(f"head {head + 1}", fontsize=9)
        if head % columns == 0:
            axes.set_ylabel("target (reads)", fontsize=8)
        if head + columns >= heads:  # the last of its column
            axes.tick_params(labelbottom=True)
            axes.set_xlabel("source (is read)", fontsize=8)
    figure.colorbar(image, ax=figure.axes, shrink=0.7, label="edge weight")
    figure.suptitle(title, fontsize=10)
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


def attention_graph(
    graph: Data, labels: Sequence[str], title: str = "", *, strongest: int = 2
) -> Figure:
    """The strongest edges of each head as arcs over the sequence; darker nodes are read more.

    Edges to later nodes are drawn above, edges to earlier ones below.

    Args:
        graph (Data): ``edge_index [2, E]`` and ``edge_weight [E, H]``.
        labels (list of str): A name for each node, ``[L]``.
        title (str): Over the whole figure.
        strongest (int): How many of the edges that arrive at a node are drawn; self loops are not.
    """
    heads, nodes = graph.edge_weight.size(1), len(labels)
    nets = [_strongest_edges(graph, head, strongest) for head in range(heads)]
    # One scale for all heads, which line up.
    weights = [abs(weight) for net in nets for *_, weight in net.edges(data="weight")]
    highest, darkest = max([*weights, 1.0]), max([*weights, 0.5])
    read = [value for net in nets for _, value in net.out_degree(weight="weight")]
    most_read = max([*read, 1e-9])
    jumps = [target - source for net in nets for source, target in net.edges]
    ends = 0.27 * min([*jumps, 0]) - 0.8, 0.27 * max([*jumps, 1]) + 0.6
    width = min(max(0.26 * nodes, 6), 16)
    height = max((ends[1] - ends[0]) * width / (nodes + 1), 0.6) + 0.35
    figure = Figure(figsize=(width, height * heads + 0.4), layout="constrained")
    position = {node: (node, 0) for node in range(nodes)}
    for head, axes in enumerate(figure.subplots(heads, 1, squeeze=False)[:, 0]):
        net = nets[head]
        net.add_nodes_from(range(nodes))
        read = dict(net.out_degree(weight="weight"))
        nx.draw_networkx_nodes(
            net,
            position,
            nodelist=range(nodes),
            ax=axes,
            node_size=90,
            node_color=[read[node] for node in range(nodes)],
            cmap="YlOrRd",
            vmin=0,
            vmax=1.4 * most_read,  # keeps the labels readable
            edgecolors=GREY,
            linewidths=0.4,
        )
        short = {node: label.strip("<>")[:3] for node, label in enumerate(labels)}
        nx.draw_networkx_labels(net, position, short, ax=axes, font_size=6)
        weights = [abs(weight) for *_, weight in net.edges(data="weight")]
        nx.draw_networkx_edges(
            net,
            position,
            ax=axes,
            width=[0.4 + 2.5 * weight / highest for weight in weights],
            edge_color=weights,
            edge_cmap=colormaps["Blues"],
            edge_vmin=-0.3,  # so that the weakest is still seen
            edge_vmax=darkest,
            arrowsize=6,
            node_size=90,
            connectionstyle="arc3,rad=-0.5",
        )
        axes.set(title=f"head {head + 1}", aspect="equal", xlim=(-1, nodes), ylim=ends)
        axes.title.set(fontsize=8)
        axes.axis("off")
    figure.suptitle(f"{title}: the {strongest} strongest edges to each node", fontsize=10)
    return figure


def _can_be_drawn(line: str) -> bool:
    if "$" not in line:
        return True
    try:
        MathTextParser("path").parse(line)
    except ValueError:
        return False
    return True


def _strongest_edges(graph: Data, head: int, strongest: int) -> nx.DiGraph:
    arriving: dict[int, list[tuple[float, int]]] = {}
    edges = zip(graph.edge_index.T.tolist(), graph.edge_weight[:, head].tolist(), strict=True)
    for (source, target), weight in edges:
        if source != target and weight != 0:  # other heads may have an edge there
            arriving.setdefault(target, []).append((weight, source))
    net = nx.DiGraph()
    for target, candidates in arriving.items():
        candidates.sort(key=lambda edge: abs(edge[0]), reverse=True)
        for weight, source in candidates[:strongest]:
            net.add_edge(source, target, weight=weight)
    return net


def _signed_root(weight: np.ndarray) -> np.ndarray:
    return np.sign(weight) * np.sqrt(np.abs(weight))


def _signed_square(root: np.ndarray) -> np.ndarray:
    return np.sign(root) * np.square(root)
