"""Contact maps of proteins, and what attention reads of them."""

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch_geometric.data import Data

from gia.analysis.attention_panels import Panels, drawn_layers
from gia.analysis.figures import GREY, ORANGE
from gia.analysis.pairs import given_pairs, symmetric_weights

PANEL = (4.4, 4.2)  # inches of a panel
BESIDE = "#e4e6ea"  # of pairs that have no colour
SHOWN = 0.995  # the share of the weights that the colours tell apart; larger ones are the darkest


def mark_pairs(axes: Axes, nodes: np.ndarray, number: int, *, points: float, least: float) -> None:
    """Pairs of nodes as squares above the diagonal, which is drawn.

    Args:
        axes (Axes): Where to; rows and columns are nodes.
        nodes (ndarray): i < j of each pair, ``[2, P]``.
        number (int): Of the nodes.
        points (float): The side that all of them have together, in points.
        least (float): The least area of a square, in points.
    """
    first, second = nodes
    size = max(least, min(60.0, (points / number) ** 2))
    axes.scatter(second, first, s=size, marker="s", color=ORANGE, linewidth=0)
    axes.plot([-0.5, number - 0.5], [-0.5, number - 0.5], color=GREY, linewidth=0.8)


def draw_contacts(axes: Axes, protein: Data) -> None:
    """The pairs of residues that a protein's edges join, above the diagonal.

    Args:
        axes (Axes): Where to; its coordinates become places in the chain.
        protein (Data): ``edge_index [2, E]``, N nodes.
    """
    number = protein.num_nodes
    nodes = np.stack(np.triu_indices(number, 1))[:, given_pairs(protein)]
    mark_pairs(axes, nodes, number, points=220, least=1.0)
    axes.set(xlim=(-0.5, number - 0.5), ylim=(number - 0.5, -0.5), aspect="equal")
    axes.tick_params(labelsize=7)


def contact_attention(protein: Data, graphs: Sequence[Data | None], title: str = "") -> Figure:
    """What each layer's attention gives the pairs of residues, below the diagonal, beside those
    that are in contact, above it.

    Where the contacts are edges of attention's graph themselves, with a weight of 1 in each
    direction, they would hide all else and are left out below.

    Args:
        protein (Data): Whose ``edge_index [2, E]`` are the contacts.
        graphs (list of Data): ``edge_index [2, E]`` and ``edge_weight [E, H]`` of each layer, as
            :meth:`gia.nn.Transformer.graphs` gives them; layers that draw none are None.
        title (str): Over the whole figure.
    """
    first, second = np.triu_indices(protein.num_nodes, 1)
    joined = given_pairs(protein)
    pairs = {
        layer: np.abs(symmetric_weights(graph)).mean(0)[second, first]
        for layer, graph in drawn_layers(graphs).items()
    }
    given = all((weight[joined] >= 1).all() for weight in pairs.values())
    shown = ~joined if given else np.ones_like(joined)
    ends = [np.quantile(weight[shown], [SHOWN]) for weight in pairs.values() if shown.any()]
    colours = colormaps["magma_r"].with_extremes(bad=BESIDE)
    panels = Panels.of_layers([*pairs], PANEL, ends, colours, aside=0.9)
    for layer, weight in pairs.items():
        axes = panels.axes[layer]
        matrix = np.full((protein.num_nodes,) * 2, np.nan)
        matrix[second[shown], first[shown]] = weight[shown]
        axes.imshow(matrix, cmap=colours, norm=panels.scale, interpolation="nearest")
        draw_contacts(axes, protein)
        axes.set_xlabel("residue; orange above the diagonal: in contact", fontsize=8)
        below = "attention beside contacts (grey)" if given else "attention"
        axes.set_ylabel(f"residue; below: {below}", fontsize=8)
    return panels.finish(
        f"{title}: attention on the contact map", "weight of a pair, both ways, mean over the heads"
    )
