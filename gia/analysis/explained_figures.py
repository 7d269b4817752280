"""Explained predictions: the share of each atom on its structure, of each residue on its chain."""

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure
from torch import Tensor

from gia.analysis.crystal_figures import draw_crystal
from gia.analysis.molecule_figures import draw_molecule
from gia.analysis.prediction_figures import MOST_PANELS
from gia.data.depict import Depiction
from gia.data.depict_crystal import CellDepiction

UNKNOWN = "<unk>"  # the label of a residue that the alphabet lacks
LETTERS = 60  # residues of a line
MOST_LINES = 40  # of residues on a page
COLUMNS = 4  # molecules side by side on a page
# Light at both ends: letters are read on it.
SHARES = ListedColormap(colormaps["RdBu_r"](np.linspace(0.14, 0.86, 255)), name="shares")
GROUPS = ("highest", "lowest", "on the fewest {}")


@dataclass
class Explained:
    """The prediction of one graph of N nodes, and the share of each node in it.

    Attributes:
        row (int): Where the graph stands in its source, from 0.
        name (str): Its name.
        kind (str): ``"smiles"``, ``"sequence"``, ``"crystal"``, or anything else that is not drawn.
        labels (list of str): Elements or residues, ``[N]``.
        output (Tensor): What is explained, ``[T]``.
        said (list of str): The prediction of each target in words, ``[T]``.
        values (Tensor): The share of each node, ``[N, T]``.
        classes (list of str): Which class of each target is explained, ``[T]``; empty for numbers.
        depiction (Depiction, optional): Of a molecule, or of those of a row; of a crystal its cell.
        component (list of int): Which part of the graph each node is of, ``[N]``; empty where it
            has one.
    """

    row: int
    name: str
    kind: str
    labels: list[str]
    output: Tensor
    said: list[str]
    values: Tensor
    classes: list[str] = field(default_factory=list)
    depiction: Depiction | CellDepiction | None = None
    component: list[int] = field(default_factory=list)

    @property
    def drawable(self) -> bool:
        """Whether it is a molecule or a crystal with a structure, or a sequence of letters."""
        letters = self.kind == "sequence" and all(
            len(label) == 1 or label == UNKNOWN for label in self.labels
        )
        return letters or self.depiction is not None

    @property
    def lines(self) -> int:
        """Of residues."""
        return -(-len(self.labels) // LETTERS)


def common_scale(explained: Sequence[Explained]) -> list[float]:
    """The value of each target at which colours end, for all rows: 98 % of all nodes lie within."""
    values = torch.cat([one.values for one in explained]).abs().double().numpy()
    return np.quantile(values, 0.98, axis=0).clip(1e-9).tolist()  # torch's takes 16 million


def explained_row(one: Explained, names: Sequence[str], ends: Sequence[float]) -> Figure:
    """One graph, a panel for each of the first six targets.

    Args:
        one (Explained): The graph.
        names (list of str): What is explained of each target, with its unit, ``[T]``.
        ends (list of float): Where the colours of each target end, as of :func:`common_scale`.
    """
    panels = min(len(names), MOST_PANELS)
    if one.depiction is None:
        figure = Figure(figsize=(10, (0.9 * one.lines + 0.7) * panels), layout="constrained")
        grid = figure.subplots(panels, 1, squeeze=False)
    else:
        columns = min(panels, 3)
        rows = -(-panels // columns)
        figure = Figure(figsize=(4.6 * columns, 3.4 * rows), layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False)
    for target, axes in enumerate(grid.flat):
        if target >= panels:
            axes.axis("off")
            continue
        title = f"{one.name} (row {one.row}): {one.said[target]}"
        _draw(axes, one, target, ends[target], title, wrapped=60)
        _bar(figure, axes, names[target], ends[target])
    return figure


def explained_page(
    explained: Sequence[Explained], name: str, end: float, target: int = 0, each: int = COLUMNS
) -> Figure:
    """The rows that tell most of a target: the highest predictions, the lowest, and those that a
    few nodes decide.

    Args:
        explained (list of Explained): Any number of graphs.
        name (str): What is explained, with its unit.
        end (float): Where colours end.
        target (int): Which target.
        each (int): Rows of each kind; fewer where sequences are long.
    """
    chains = any(one.depiction is None for one in explained)
    groups = most_telling(explained, target, each)
    while chains and each > 1 and sum(one.lines for group in groups for one in group) > MOST_LINES:
        each -= 1
        groups = most_telling(explained, target, each)
    named = len(groups) > 1
    if not (chains or named):  # all that there are, in rows
        groups = [groups[0][start : start + each] for start in range(0, len(groups[0]), each)]
    if chains:
        shown = [one for group in groups for one in group]
        heights = [one.lines + 0.6 for one in shown]
        figure = Figure(figsize=(10, 0.72 * sum(heights) + 0.8), layout="constrained")
        grid = figure.subplots(len(shown), 1, squeeze=False, height_ratios=heights)
        places = iter(grid[:, 0])
    else:
        columns = max(map(len, groups))
        figure = Figure(figsize=(3.1 * columns + 0.9, 2.4 * len(groups)), layout="constrained")
        grid = figure.subplots(len(groups), columns, squeeze=False)
    for number, group in enumerate(groups):
        row = [next(places) for _ in group] if chains else grid[number]
        for place, axes in enumerate(row):
            if place >= len(group):
                axes.axis("off")
                continue
            one = group[place]
            title = f"{one.name}: {one.said[target]}"
            heading = ""
            if named and place == 0:
                heading = GROUPS[number].format("residues" if chains else "atoms").upper()
            _draw(axes, one, target, end, title, heading, wrapped=100 if chains else 40)
    _bar(figure, list(grid.flat), name, end)
    return figure


def most_telling(
    explained: Sequence[Explained], target: int = 0, each: int = COLUMNS
) -> list[list[Explained]]:
    """The highest predictions of a target, the lowest, and those that a few nodes decide.

    No graph is there twice; where there are no more than ``3 * each``, all are in one group, the
    highest first.
    """
    by_output = sorted(explained, key=lambda one: -float(one.output[target]))
    if len(explained) <= len(GROUPS) * each:
        return [by_output]
    between = sorted(by_output[each:-each], key=lambda one: -_concentration(one.values[:, target]))
    return [by_output[:each], by_output[: -each - 1 : -1], between[:each]]


def _concentration(values: Tensor) -> float:
    """How many times more than in an even spread the shares gather on few nodes: 1 to N."""
    total = float(values.abs().sum())
    return len(values) * float(values.square().sum()) / total**2 if total else 0.0


def _draw(
    axes: Axes,
    one: Explained,
    target: int,
    end: float,
    title: str,
    heading: str = "",
    *,
    wrapped: int,
) -> None:
    values = one.values[:, target]
    colours = SHARES(Normalize(-end, end, clip=True)(values.numpy()))
    if one.depiction is None:
        _draw_chain(axes, one.labels, values.tolist(), colours, end)
    elif isinstance(one.depiction, CellDepiction):
        draw_crystal(axes, one.depiction, colours)
    else:
        draw_molecule(axes, one.depiction, colours)
    lines = [*([heading] if heading else []), *textwrap.wrap(title, wrapped)[:3]]
    axes.set_title("\n".join(lines), fontsize=8, loc="left")


def _draw_chain(
    axes: Axes, labels: Sequence[str], values: Sequence[float], colours, end: float
) -> None:
    """Lines of residues, on each a bar up or down; longer bars than ``end`` are cut."""
    step = 3.0  # height of a line: a bar up, the letter, a bar down
    for node, (label, value) in enumerate(zip(labels, values, strict=True)):
        line, place = divmod(node, LETTERS)
        middle = -step * line
        height = math.copysign(min(abs(value) / end, 1.0), value)
        start = middle + math.copysign(0.32, value)
        axes.bar(place, height, 0.8, start, color=colours[node], edgecolor="#8a8f98", linewidth=0.3)
        letter = "?" if label == UNKNOWN else label
        axes.text(place, middle, letter, ha="center", va="center_baseline", fontsize=7)
        if (node + 1) % 10 == 0:
            axes.text(place, middle - 1.55, str(node + 1), ha="center", va="center", fontsize=5)
    lines = -(-len(labels) // LETTERS)
    axes.set(xlim=(-1, LETTERS), ylim=(-step * (lines - 1) - 1.8, 1.5))
    axes.axis("off")


def _bar(figure: Figure, axes: Axes | list[Axes], name: str, end: float) -> None:
    scale = ScalarMappable(Normalize(-end, end), SHARES)
    length = min(0.7, 4 / figure.get_figheight())  # inches
    bar = figure.colorbar(scale, ax=axes, shrink=length, aspect=25, pad=0.02, extend="both")
    bar.set_label("\n".join(textwrap.wrap(name, 48)), fontsize=7)
    bar.ax.tick_params(labelsize=7)
