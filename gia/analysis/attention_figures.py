"""Pictures of one layer's attention: matrices of its heads, and arcs over a sequence."""

from collections.abc import Sequence

import networkx as nx
import torch
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch_geometric.data import Data
from torch_geometric.utils import to_dense_adj

from gia.analysis.figures import GREY, shortened

LONGEST_NAME = 14  # letters of a node beside a matrix
LABEL = 0.13  # inches that a label needs beside the next one
MOST_LABELS = 66  # of which a matrix has each; of more, every so manieth


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
