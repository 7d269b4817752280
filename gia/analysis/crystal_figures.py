"""Crystals in figures: atoms in their cell, and who attends to whom."""

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.utils import coalesce

from gia.analysis.attention_panels import Panels, drawn_layers, strongest_edges
from gia.analysis.figures import GREY, ink
from gia.data.depict_crystal import CellDepiction

SHARE = 0.34  # of an atom's radius that is drawn, so that those behind are seen
PALE = 0.35  # how much of its colour a copy of an atom keeps
STRONGEST = 12  # edges of a panel
PANEL = (4.2, 4.0)  # inches of a panel
# Dark throughout, to be seen beside pale atoms.
EDGES = colormaps["viridis_r"]


def draw_crystal(
    axes: Axes, depiction: CellDepiction, colours: Sequence | None = None
) -> list[Circle]:
    """A cell with its atoms, those in front over those behind; pale ones are copies of atoms that
    lie on its sides.

    Args:
        axes (Axes): Where to; its coordinates are Angstrom.
        depiction (CellDepiction): The cell.
        colours (list, optional): Of each atom, anything of matplotlib's; left out, its element's.

    Returns:
        The disc of each node.
    """
    colours = depiction.colours if colours is None else colours
    for number, (start, end) in enumerate(depiction.corners):
        axes.plot(*zip(start[:2], end[:2], strict=True), color=GREY, linewidth=0.9, zorder=1)
        if number < 3:
            text = axes.text(*(start + end)[:2] / 2, "abc"[number], fontsize=8, zorder=1.5)
            text.set(color="0.35", ha="center", va="center")
            text.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 1})
    atoms = [(position, node, 1.0) for node, position in enumerate(depiction.positions)]
    copies = zip(depiction.copies, depiction.copied.tolist(), strict=True)
    atoms += [(position, node, PALE) for position, node in copies]
    discs: list[Circle] = [Circle((0, 0))] * len(depiction.positions)
    for order, (position, node, strength) in enumerate(sorted(atoms, key=lambda one: one[0][2])):
        colour = 1 - strength * (1 - np.array(to_rgb(colours[node])))
        disc = Circle(tuple(position[:2]), SHARE * depiction.radii[node], zorder=2 + order / 1e4)
        disc.set(facecolor=colour, edgecolor="0.3", linewidth=0.5)
        axes.add_patch(disc)
        if strength == 1:
            discs[node] = disc
            text = axes.text(*position[:2], depiction.symbols[node], fontsize=7, zorder=4)
            text.set(color=ink(colour), ha="center", va="center_baseline")
    every = np.concatenate([depiction.corners.reshape(-1, 3), depiction.positions])[:, :2]
    room = SHARE * float(depiction.radii.max()) + 0.3
    (left, low), (right, high) = every.min(0) - room, every.max(0) + room
    axes.set(xlim=(left, right), ylim=(low, high), aspect="equal", xlabel="Å", ylabel="Å")
    axes.tick_params(labelsize=7)
    axes.xaxis.label.set_fontsize(8)
    axes.yaxis.label.set_fontsize(8)
    axes.spines[["top", "right"]].set_visible(False)
    return discs


def crystal_attention(
    graphs: Sequence[Data | None],
    depiction: CellDepiction,
    title: str = "",
    *,
    strongest: int = STRONGEST,
) -> Figure:
    """What each layer's attention reads in a crystal, in the mean over its heads.

    Arrows are the strongest edges, from the atom that is read to the one that reads; several
    between the same two atoms are one, of their sum.

    Args:
        graphs (list of Data): ``edge_index [2, E]`` and ``edge_weight [E, H]`` of each layer, as
            :meth:`gia.nn.Transformer.graphs` gives them; layers that draw none are None.
        depiction (CellDepiction): How it is drawn.
        title (str): Over the whole figure.
        strongest (int): How many edges are drawn.
    """
    edges = {number: _edges(graph) for number, graph in drawn_layers(graphs).items()}
    weights = [weight for _, weight in edges.values()]
    panels = Panels.of_layers([*edges], PANEL, weights, EDGES, aside=0.9)
    for number, (edge_index, weight) in edges.items():
        axes = panels.axes[number]
        discs = draw_crystal(axes, depiction)
        for edge in reversed(strongest_edges(weight, strongest)):  # the strongest last, on top
            source, target = edge_index[:, edge].tolist()
            share = panels.scale(float(weight[edge]))
            axes.add_patch(
                FancyArrowPatch(
                    *(depiction.positions[node, :2] for node in (source, target)),
                    connectionstyle="arc3,rad=0.18",
                    arrowstyle="-|>,head_length=4,head_width=2",
                    patchA=discs[source],
                    patchB=discs[target],
                    shrinkA=0,
                    shrinkB=1,
                    linewidth=0.6 + 2 * share,
                    color=EDGES(share),
                    zorder=3,
                )
            )
    return panels.finish(
        f"{title}: the {strongest} strongest edges in its cell; pale atoms are copies",
        "edge weight, mean over the heads, with that of neighbours",
    )


def _edges(graph: Data) -> tuple[Tensor, Tensor]:
    """Each pair of different nodes once, and the size of its weight in the mean over all heads."""
    other = graph.edge_index[0] != graph.edge_index[1]
    weight = graph.edge_weight[other].float().mean(1)
    edge_index, weight = coalesce(graph.edge_index[:, other], weight, graph.num_nodes)
    return edge_index, weight.abs()
