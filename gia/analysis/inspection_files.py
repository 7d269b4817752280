"""An inspection as files: pictures, tables, graphs for other programs, and a page."""

from collections.abc import Iterator
from pathlib import Path

import networkx as nx
import numpy as np
import torch
from torch_geometric.data import Data

from gia.analysis.attention_figures import attention_graph, attention_heat_map
from gia.analysis.attention_panels import strongest_edges
from gia.analysis.contact_figures import contact_attention
from gia.analysis.crystal_figures import crystal_attention
from gia.analysis.figures import save
from gia.analysis.inspection import Inspection, measure_rows
from gia.analysis.inspection_figures import all_heads, effective_graph, eigenvalue_curves
from gia.analysis.molecule_figures import molecule_attention
from gia.analysis.prediction_table import cell, number_cell, write_csv
from gia.analysis.report_page import report_page
from gia.data.depict import Depiction
from gia.data.depict_crystal import CellDepiction
from gia.data.files import write_atomically

MOST_ARCS = 96  # nodes whose strongest edges are drawn one by one
STRONGEST = 16  # edges to a node that a GraphML file has


def write_inspection(
    found: Inspection,
    folder: Path,
    *,
    title: str,
    depiction: Depiction | CellDepiction | None = None,
) -> list[Path]:
    """Write all that there is of an inspection into a folder that is there.

    ``report.html``; ``measures.csv``, ``nodes.csv`` and ``eigenvalues.csv``; ``heads``,
    ``effective``, ``eigenvalues``, ``layer_N`` of each layer that was named, or the last one, and,
    where the item can be drawn, ``graph`` and ``contact_map``, as PNG and SVG; ``layer_N.graphml``
    with the 16 strongest edges to each node, and ``graphs.pt`` with all of them, a list of PyG's
    ``Data`` that ``torch.load(..., weights_only=False)`` reads.

    Args:
        found (Inspection): What was found.
        folder (Path): Where to.
        title (str): Over the page.
        depiction (optional): How the item is drawn, if it is a molecule or a crystal.

    Returns:
        What was written, the page first.
    """
    pictures = _pictures(found, folder, depiction)
    _tables(found, folder)
    for layer, graph in found.graphs.items():
        net = _network(found, layer, graph)
        with write_atomically(folder / f"layer_{layer}.graphml", "wb") as file:
            nx.write_graphml(net, file)
    graphs = [_labelled(found, layer, graph) for layer, graph in found.graphs.items()]
    with write_atomically(folder / "graphs.pt", "wb") as file:
        torch.save(graphs, file)
    # Arcs over a sequence show what the page itself does.
    drawn = {"contact_map.png"} | ({"graph.png"} if depiction is not None else set())
    shown = [path for path in pictures if path.name in drawn]
    with write_atomically(folder / "report.html") as file:
        file.write(report_page(found, title=title, pictures=shown))
    return [folder / "report.html", *pictures]


def _pictures(
    found: Inspection, folder: Path, depiction: Depiction | CellDepiction | None
) -> list[Path]:
    name, labels = found.name, found.labels
    figures = {
        "heads": all_heads(found.weights, found.heads, name),
        "effective": effective_graph(found.effective, labels, name),
        "eigenvalues": eigenvalue_curves(found.eigenvalues, name),
    }
    for layer in found.named:
        title = f"{name}, layer {layer}"
        figures[f"layer_{layer}"] = attention_heat_map(found.graphs[layer], labels, title)
    numbered = [found.graphs.get(layer) for layer in range(1, max(found.graphs) + 1)]
    if isinstance(depiction, CellDepiction):
        figures["graph"] = crystal_attention(numbered, depiction, name)
    elif depiction is not None:
        figures["graph"] = molecule_attention(found.item, numbered, depiction, name)
    elif found.item.num_nodes <= MOST_ARCS:
        last = found.named[-1]
        figures["graph"] = attention_graph(found.graphs[last], labels, f"{name}, layer {last}")
    if found.item.get("pos") is not None and found.item.get("seq_pos") is not None:
        figures["contact_map"] = contact_attention(found.item, numbered, name)
    return [path for key, figure in figures.items() for path in save(figure, folder / key)]


def _tables(found: Inspection, folder: Path) -> None:
    columns, rows = measure_rows(found.measures)
    write_csv(folder / "measures.csv", columns, [list(map(cell, row)) for row in rows])
    of_nodes = ["in_degree", "out_degree", "in_strength", "out_strength"]
    columns = ["layer", "head", "node", "label", *of_nodes]
    write_csv(folder / "nodes.csv", columns, _node_rows(found))
    columns, rows = ["layer", "head", "number", "eigenvalue"], []
    for of_head, values in found.eigenvalues.items():
        rows += [[*of_head, at, number_cell(value)] for at, value in enumerate(values, 1)]
    write_csv(folder / "eigenvalues.csv", columns, rows)


def _node_rows(found: Inspection) -> Iterator[list]:
    """Edges to and from each node, loops left out, and what they weigh together."""
    for layer, head, weight in _matrices(found):
        size = np.abs(weight.astype(np.float64))
        np.fill_diagonal(size, 0)
        there = size > 0
        counts = zip(there.sum(1).tolist(), there.sum(0).tolist(), strict=True)
        sums = zip(size.sum(1).tolist(), size.sum(0).tolist(), strict=True)
        for node, (numbers, weights) in enumerate(zip(counts, sums, strict=True)):
            label = found.labels[node]
            yield [layer, head, node + 1, label, *numbers, *map(number_cell, weights)]


def _matrices(found: Inspection) -> Iterator[tuple[int, int, np.ndarray]]:
    for layer, weights in found.weights.items():
        for head, weight in zip(found.heads[layer], weights, strict=True):
            yield layer, head, weight


def _network(found: Inspection, layer: int, graph: Data) -> nx.DiGraph:
    """The strongest edges to each node, with the weight of each head."""
    net = nx.DiGraph(layer=layer, item=found.name)
    for node, label in enumerate(found.labels):
        net.add_node(node, label=label)
    mean = graph.edge_weight.abs().float().mean(1)
    names = [f"head_{head}" for head in found.heads[layer]]
    for target in range(graph.num_nodes):
        edges = (graph.edge_index[1] == target).nonzero().flatten()
        for place in strongest_edges(mean[edges], STRONGEST):
            edge = int(edges[place])
            weights = dict(zip(names, graph.edge_weight[edge].float().tolist(), strict=True))
            net.add_edge(
                int(graph.edge_index[0, edge]), target, weight=float(mean[edge]), **weights
            )
    return net


def _labelled(found: Inspection, layer: int, graph: Data) -> Data:
    graph = graph.clone()
    graph.layer, graph.head = layer, torch.tensor(found.heads[layer])
    graph.label = list(found.labels)
    return graph
