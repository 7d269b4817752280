"""The pairs of nodes of a graph: what attention gives each of them, and which are joined."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch_geometric.data import Data

Head = tuple[int, int]  # a layer and one of its heads, both counted from 1


@dataclass
class Pairs:
    """The P pairs i < j of an item's N nodes, in the order of :func:`numpy.triu_indices`.

    Attributes:
        nodes: i and j of each pair.
        joined: whether the item's own edges join it, in either direction.
        distance: how far apart in the sequence it is; None where nodes have no order.
        degrees: the product of the numbers of neighbours of i and j.
        weights: of each of F heads of attention, ``A_ij + A_ji``.
        corrected: the same after :func:`average_product_correction`.
        heads: the layer and the number of each of these.
        num_nodes: N.

    Shapes:
        nodes: [2, P]
        joined, distance, degrees: [P]
        weights, corrected: [P, F], float32
    """

    nodes: np.ndarray
    joined: np.ndarray
    distance: np.ndarray | None
    degrees: np.ndarray
    weights: np.ndarray
    corrected: np.ndarray
    heads: list[Head]
    num_nodes: int


def given_pairs(data: Data) -> np.ndarray:
    """Which pairs i < j of an item's nodes its own edges join, in either direction, ``[P]``.

    Loops join no pair, parallel edges one.
    """
    number = data.num_nodes
    joined = np.zeros((number, number), dtype=bool)
    source, target = data.edge_index.cpu().numpy()
    joined[source, target] = joined[target, source] = True
    return joined[np.triu_indices(number, 1)]


def sequence_distance(data: Data) -> np.ndarray | None:
    """How far apart in the sequence the pairs i < j are, ``[P]``; None without ``seq_pos``."""
    if data.get("seq_pos") is None:
        return None
    place = data.seq_pos.cpu().numpy()
    first, second = np.triu_indices(data.num_nodes, 1)
    return np.abs(place[first] - place[second])


def far_apart(distance: np.ndarray | None, number: int, separation: int) -> np.ndarray:
    """Which of so many pairs count: those at least ``separation`` apart in the sequence, ``[P]``.

    Args:
        distance (ndarray, optional): Of each pair, see :func:`sequence_distance`; without an order
            all pairs count.
        number (int): P.
        separation (int): In nodes.
    """
    return np.ones(number, dtype=bool) if distance is None else distance >= separation


def symmetric_weights(graph: Data) -> np.ndarray:
    """What attention gives the two directions of each pair together, ``A_ij + A_ji``.

    Of a causal graph that is the one direction that there is. Parallel edges add up; loops are
    left out.

    Args:
        graph (Data): ``edge_index [2, E]`` and ``edge_weight [E, H]``.

    Shapes:
        - **output:** ``[H, N, N]``, float32, with zeros on the diagonal
    """
    source, target = graph.edge_index.cpu()
    weight = graph.edge_weight.detach().float().cpu()
    weights = weight.new_zeros(graph.num_nodes, graph.num_nodes, weight.size(1))
    weights.index_put_((target, source), weight, accumulate=True)
    weights = weights.permute(2, 0, 1)
    weights = weights + weights.transpose(1, 2)
    torch.diagonal(weights, dim1=1, dim2=2).zero_()
    return weights.numpy()


def average_product_correction(weights: np.ndarray) -> np.ndarray:
    r"""Take from a pair's weight what its two nodes have with any other,
    :math:`w_{ij} - \bar w_i \bar w_j / \bar w`, as `Dunn et al.
    <https://doi.org/10.1093/bioinformatics/btm604>`_ do with mutual information.

    :math:`\bar w_i` is the mean over the N - 1 pairs of node i, :math:`\bar w` over all pairs.

    Args:
        weights (ndarray): Symmetric, with zeros on the diagonal, ``[*, N, N]``.

    Returns:
        An array of the same shape, with zeros on the diagonal; as it was where all pairs of nodes
        together have no weight.
    """
    number = weights.shape[-1]
    if number < 2:
        return weights.copy()
    of_node = weights.sum(-1) / (number - 1)
    of_all = of_node.mean(-1)[..., None, None]
    product = of_node[..., :, None] * of_node[..., None, :]
    shared = np.divide(product, of_all, out=np.zeros_like(product), where=of_all != 0)
    corrected = weights - shared
    corrected[..., np.arange(number), np.arange(number)] = 0
    return corrected


def pairs_of(data: Data, graphs: Sequence[Data | None]) -> Pairs:
    """The pairs of an item with what attention gives them.

    Args:
        data (Data): The item, with the edges that are compared.
        graphs (list of Data): The attention over its N nodes in each layer, ``edge_index [2, E]``
            and ``edge_weight [E, H]``, see :meth:`gia.nn.Transformer.graphs`; None where a layer
            draws no graph.

    Raises:
        ValueError: If no layer does.
    """
    layers = {number: graph for number, graph in enumerate(graphs, 1) if graph is not None}
    if not layers:
        raise ValueError(
            "no layer of the model draws a graph of its own: its blocks pass messages along the "
            "data's edges alone; models of attention are model=graph_transformer and "
            "model=language_model"
        )
    first, second = np.triu_indices(data.num_nodes, 1)
    weights, corrected, heads = [], [], []
    for layer, graph in layers.items():
        of_layer = symmetric_weights(graph)
        weights.append(of_layer[:, first, second])
        corrected.append(average_product_correction(of_layer)[:, first, second])
        heads += [(layer, head) for head in range(1, len(of_layer) + 1)]
    joined = given_pairs(data)
    degree = np.zeros(data.num_nodes)
    np.add.at(degree, first[joined], 1)
    np.add.at(degree, second[joined], 1)
    return Pairs(
        nodes=np.stack([first, second]),
        joined=joined,
        distance=sequence_distance(data),
        degrees=degree[first] * degree[second],
        weights=np.concatenate(weights).T,
        corrected=np.concatenate(corrected).T,
        heads=heads,
        num_nodes=data.num_nodes,
    )
