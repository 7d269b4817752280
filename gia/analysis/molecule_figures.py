"""Molecules in figures: their structure, what is known of each atom, and who attends to whom."""

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence

import numpy as np
import torch
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, PathPatch
from matplotlib.path import Path
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.utils import to_dense_adj

from gia.analysis.attention_panels import Panels, drawn_layers, strongest_edges
from gia.analysis.figures import BLUE
from gia.data.depict import Depiction

RADIUS = 0.42  # of an atom's disc, in bonds
ROOM = (7.5, 5.0)  # the least that a panel holds, in bonds: small molecules do not fill it
LINE = 1.1  # width of a bond's line, in points
# Light at both ends: letters are read on it.
READ = ListedColormap(colormaps["YlOrRd"](np.linspace(0, 0.62, 128)), name="read")
# Letters of SVG paths.
CODES = {"M": Path.MOVETO, "L": Path.LINETO, "Q": Path.CURVE3, "C": Path.CURVE4}


def draw_molecule(
    axes: Axes, depiction: Depiction, colours: Sequence | Tensor, *, room: tuple = ROOM
) -> None:
    """A structure on discs of each atom's colour.

    Args:
        axes (Axes): Where to; its coordinates become bonds, to the right and down.
        depiction (Depiction): The molecule.
        colours (list): Of each atom, anything of matplotlib's.
        room (tuple): Width and height that the axes hold at least, in bonds; more of both for a
            larger molecule.
    """
    bond = depiction.bond
    for (x, y), colour in zip(depiction.positions, colours, strict=True):
        axes.add_patch(Circle((x / bond, y / bond), RADIUS, color=colour, linewidth=0, zorder=1))
    for path in ElementTree.fromstring(depiction.svg.encode()).iterfind("{*}path"):
        style = dict(pair.split(":") for pair in path.get("style", "").split(";") if pair)
        fill = path.get("fill", style.get("fill", "none"))
        lines = style.get("stroke", "none") != "none"
        width = float(style.get("stroke-width", "2px").removesuffix("px")) / 2
        shape = _path(path.get("d"), bond)
        axes.add_patch(
            PathPatch(
                shape,
                facecolor="none" if fill == "none" else "black",
                edgecolor="black" if lines else "none",
                linewidth=LINE * width if lines else 0,
                capstyle="round",
                zorder=2,
            )
        )
    sizes = [size / bond + 2 * RADIUS for size in depiction.size]
    # All axes of one room have one shape, whatever the molecule's.
    scale = max(1.0, *(size / least for size, least in zip(sizes, room, strict=True)))
    for size, least, limits in zip(
        depiction.size, room, (axes.set_xlim, axes.set_ylim), strict=True
    ):
        middle = size / bond / 2
        limits(middle - scale * least / 2, middle + scale * least / 2)
    axes.invert_yaxis()
    axes.set_aspect("equal")
    axes.axis("off")


def molecule_attention(
    molecule: Data,
    graphs: Sequence[Data | None],
    depiction: Depiction,
    title: str = "",
    *,
    strongest: int = 12,
) -> Figure:
    """What each layer's attention reads on a molecule, in the mean over its heads.

    Bonds are left out, whose weight is mostly that of the input graph, unless a layer has no other
    edges. An atom's colour says how much it is read by others; arrows are the strongest edges,
    from the atom that is read to the one that reads.

    Args:
        molecule (Data): Whose ``edge_index [2, E]`` are the bonds.
        graphs (list of Data): ``edge_index [2, E]`` and ``edge_weight [E, H]`` of each layer, as
            :meth:`gia.nn.Transformer.graphs` gives them; layers that draw none are None.
        depiction (Depiction): How it is drawn.
        title (str): Over the whole figure.
        strongest (int): How many edges are drawn.
    """
    edges = {number: _read(graph, molecule) for number, graph in drawn_layers(graphs).items()}
    width, height = (
        max(size / depiction.bond + 2 * RADIUS, least)
        for size, least in zip(depiction.size, ROOM, strict=True)
    )
    scale = min(0.42, 6 / width)  # inches of a bond
    size = (width * scale, height * scale + 0.35)
    shown = [read for *_, read in edges.values()]
    panels = Panels.of_layers([*edges], size, shown, READ, aside=1.1)
    for number, (edge_index, weight, read) in edges.items():
        axes, colours = panels.axes[number], READ(panels.scale(read.numpy()))
        draw_molecule(axes, depiction, colours, room=(width, height))
        top = float(weight.max()) if len(weight) else 1.0
        for edge in strongest_edges(weight, strongest):
            ends = [
                tuple(side / depiction.bond for side in depiction.positions[node])
                for node in edge_index[:, edge].tolist()
            ]
            share = float(weight[edge]) / top
            axes.add_patch(
                FancyArrowPatch(
                    *ends,
                    connectionstyle="arc3,rad=0.25",
                    arrowstyle="-|>,head_length=3,head_width=1.6",
                    shrinkA=5,
                    shrinkB=5,
                    linewidth=0.5 + 1.6 * share,
                    alpha=0.25 + 0.6 * share,
                    color=BLUE,
                    zorder=3,
                )
            )
    return panels.finish(
        f"{title}: atoms that are read, and the {strongest} strongest edges",
        "how much others read it, bonds left out",
    )


def _read(graph: Data, molecule: Data) -> tuple[Tensor, Tensor, Tensor]:
    """The edges that are drawn, their weight over all heads, and how much is read of each node."""
    other = graph.edge_index[0] != graph.edge_index[1]
    bonded = to_dense_adj(molecule.edge_index, max_num_nodes=graph.num_nodes)[0].bool()
    apart = other & ~bonded[graph.edge_index[0], graph.edge_index[1]]
    shown = apart if apart.any() else other
    edge_index = graph.edge_index[:, shown]
    weight = graph.edge_weight[shown].float().abs().mean(1)
    read = torch.zeros(graph.num_nodes).index_add(0, edge_index[0], weight)
    return edge_index, weight, read


def _path(text: str, bond: float) -> Path:
    """A path of SVG as one of matplotlib's, in bonds."""
    codes, numbers = [], []
    for letter, points in re.findall(r"([A-Z])([^A-Z]*)", text):
        if letter == "Z":
            codes.append(Path.CLOSEPOLY)
            numbers += [0.0, 0.0]
            continue
        values = [float(value) / bond for value in re.findall(r"-?[\d.]+", points)]
        codes += [CODES[letter]] * (len(values) // 2)
        numbers += values
    return Path(torch.tensor(numbers).view(-1, 2).numpy(), codes)
