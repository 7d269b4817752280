"""The attention graphs of a model over one item, measured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import shortest_path
from torch_geometric.data import Data
from torch_geometric.utils import to_dense_adj

from gia.analysis.agreement_measures import agreement
from gia.analysis.pairs import Head, given_pairs, sequence_distance
from gia.analysis.rollout import attention_rollout
from gia.analysis.topology import Topology, laplacian_eigenvalues, topology
from gia.data.progress import progress


@dataclass
class Inspection:
    """What there is to see of a model's attention over an item of N nodes.

    Attributes:
        item: The item.
        labels: A name for each node, ``[N]``.
        graphs: The graph of each chosen layer by its number from 1, with ``edge_index [2, E]``
            and ``edge_weight [E, H]`` of the chosen heads.
        heads: The numbers of these, from 1.
        weights: The same as matrices, row i what arrives at node i, ``[H, N, N]`` of each layer.
        effective: What is read through all layers and heads of the model, chosen or not,
            ``[N, N]``, see :func:`gia.analysis.attention_rollout`.
        measures: Of each layer and head.
        named: The layers that were asked for by their numbers; the last one if none was.
    """

    item: Data
    labels: list[str]
    graphs: dict[int, Data]
    heads: dict[int, list[int]]
    weights: dict[int, np.ndarray]
    effective: np.ndarray
    measures: dict[Head, Topology]
    named: list[int]

    @property
    def name(self) -> str:
        """What the item is called."""
        return str(self.item.get("name") or "the item")

    @cached_property
    def eigenvalues(self) -> dict[Head, np.ndarray]:
        """Of the normalised Laplacian of each layer and head, ``[N]``."""
        return {
            (layer, head): laplacian_eigenvalues(weight)
            for layer, matrices in self.weights.items()
            for head, weight in zip(self.heads[layer], matrices, strict=True)
        }


def inspect_attention(
    item: Data,
    graphs: Sequence[Data | None],
    labels: Sequence[str],
    *,
    layers: Sequence[int] | None = None,
    heads: Sequence[int] | None = None,
) -> Inspection:
    """Look at the graphs that a model draws over an item.

    Args:
        item (Data): N nodes; its edges, if it has any, are what attention is compared with.
        graphs (list of Data): ``edge_index [2, E]`` and ``edge_weight``, ``[E, H]`` or ``[E]``, of
            each layer, as :meth:`gia.nn.Transformer.graphs` and :func:`gia.adapters.graphs` give
            them; None for layers that draw none.
        labels (list of str): A name for each node.
        layers, heads (list of int, optional): Which are looked at, counted from 1; all if left out.

    Raises:
        ValueError: If no layer draws a graph, there is no such layer or head, or no node.
    """
    if not item.num_nodes:
        raise ValueError("the item is empty: there are no nodes to draw attention between")
    drawn = {
        number: _with_heads_apart(graph)
        for number, graph in enumerate(graphs, 1)
        if graph is not None
    }
    if not drawn:
        raise ValueError(
            "no layer of the model draws a graph of its own: it has no attention to look at"
        )
    dense = {number: _matrices(graph, item.num_nodes) for number, graph in drawn.items()}
    for number, weight in dense.items():
        if not np.isfinite(weight).all():
            raise ValueError(f"the attention of layer {number} has weights that are not finite")
    chosen = _chosen("layers", layers, [*drawn])
    most = max(len(dense[number]) for number in chosen)
    every = _chosen("heads", heads, list(range(1, most + 1)))
    chosen = [number for number in chosen if min(every) <= len(dense[number])]
    of_layer = {number: [head for head in every if head <= len(dense[number])] for number in chosen}
    places = {number: [head - 1 for head in numbers] for number, numbers in of_layer.items()}
    weights = {number: dense[number][places[number]] for number in chosen}
    apart, joined = _apart(item), _joined(item)
    measures = {}
    every_head = [
        (number, head, weight)
        for number in chosen
        for head, weight in zip(of_layer[number], weights[number], strict=True)
    ]
    for number, head, weight in progress(every_head, len(every_head), "measuring heads", many=48):
        found = topology(weight, apart)
        measures[number, head] = found._replace(agreement=_agreement(weight, joined))
    return Inspection(
        item=item,
        labels=list(labels),
        graphs={number: _of_heads(drawn[number], places[number]) for number in chosen},
        heads=of_layer,
        weights=weights,
        effective=attention_rollout(dense.values()),
        measures=measures,
        named=chosen[-1:] if layers is None else chosen,
    )


def _with_heads_apart(graph: Data) -> Data:
    """The edges of a graph, with a column of weights where its heads share one, on the CPU."""
    weight = graph.edge_weight.detach().float().cpu()
    return Data(
        edge_index=graph.edge_index.cpu(),
        edge_weight=weight.unsqueeze(1) if weight.dim() == 1 else weight,
        num_nodes=graph.num_nodes,
    )


def _matrices(graph: Data, nodes: int) -> np.ndarray:
    """The weights of each head, ``[H, N, N]``; row i is what arrives at node i."""
    dense = to_dense_adj(graph.edge_index, None, graph.edge_weight, nodes)[0]
    return dense.permute(2, 1, 0).contiguous().numpy()


def _of_heads(graph: Data, places: Sequence[int]) -> Data:
    graph = graph.clone()
    graph.edge_weight = graph.edge_weight[:, list(places)]
    return graph


def _chosen(option: str, asked: Sequence[int] | None, there: Sequence[int]) -> list[int]:
    if asked is None:
        return list(there)
    unknown = [number for number in asked if number not in there]
    if unknown or not asked:
        raise ValueError(
            f"{option}={list(asked)}: the {option} with a graph are {', '.join(map(str, there))}"
        )
    return list(dict.fromkeys(asked))


def _apart(item: Data) -> np.ndarray | None:
    """How far nodes are apart: in the sequence, or along the item's edges where there is no order,
    or several parts; None where there are neither."""
    if item.get("seq_pos") is not None and item.get("component") is None:
        place = item.seq_pos.cpu().numpy()
        return np.abs(place[:, None] - place)
    if not _has_edges(item):
        return None
    source, target = item.edge_index.cpu().numpy()
    steps = csr_array((np.ones(len(source)), (source, target)), shape=(item.num_nodes,) * 2)
    return shortest_path(steps, directed=False, unweighted=True)


def _joined(item: Data) -> np.ndarray | None:
    """Which pairs i < j the item's edges join; None of a mere sequence, whose neighbours they
    are."""
    if not _has_edges(item) or item.num_nodes < 2:
        return None
    joined = given_pairs(item)
    of_sequence = item.get("seq_pos") is not None and item.get("component") is None
    neighbours = of_sequence and (sequence_distance(item)[joined] == 1).all()
    return None if neighbours else joined


def _has_edges(item: Data) -> bool:
    return item.get("edge_index") is not None and item.edge_index.numel() > 0


def _agreement(weight: np.ndarray, joined: np.ndarray | None) -> float:
    if joined is None:
        return float("nan")
    both = np.abs(weight) + np.abs(weight).T
    return agreement(both[np.triu_indices(len(weight), 1)], joined, len(weight))["auroc"]


def measure_rows(measures: Mapping[Head, Topology]) -> tuple[list[str], list[list[float]]]:
    """The measures as a table: names of columns, and a row for each layer and head."""
    rows = [[layer, head, *found] for (layer, head), found in measures.items()]
    return ["layer", "head", *Topology._fields], rows
