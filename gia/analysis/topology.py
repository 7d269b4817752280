"""What a weighted graph is like, in the measures of network science."""

from typing import NamedTuple

import numpy as np
from scipy.linalg import eigvalsh
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components, shortest_path

NAN = float("nan")
DENSE = 16  # neighbours of a node from which on products find paths faster than a search
TIED = 1e-5  # by so little do equal weights differ in single precision


class Topology(NamedTuple):
    """Measures of a directed graph with weights A_ij, from source j to target i, on N nodes.

    Every node that reads anything counts as one where shares are meant,
    :math:`s_{ij} = |A_{ij}| / \\sum_k |A_{ik}|`. Undirected measures are those of
    :math:`(|A| + |A|^T) / 2` without loops. NaN where a measure has no meaning, such as a distance
    without an order or edges.

    Attributes:
        density: Edges over ordered pairs of different nodes, as in NetworkX.
        entropy: Of the shares of a node, in nats, in the mean over nodes.
        self_loops: The share that a node reads of itself, in the mean.
        strongest_sink: The largest part of all shares that one node sends to others.
        distance: Between a target and what it reads, by shares: places in a sequence, or steps
            along the data's edges.
        reciprocity: :math:`\\sum_{i \\ne j} \\min(|A_{ij}|, |A_{ji}|) / \\sum_{i \\ne j} |A_{ij}|`
            (Squartini et al. 2013); without weights that of NetworkX.
        clustering: Of the undirected graph, weighted (Onnela et al. 2005), in the mean over nodes.
        spectral_gap: The second smallest eigenvalue of its normalised Laplacian.
        small_world: :math:`\\sigma = (C / C_r) / (L / L_r)` (Humphries and Gurney 2008) of the
            undirected graph of the edges that weigh at least as much as those that arrive with
            them do in the mean, loops left out, with the random graph's
            :math:`C_r = k / (n - 1)` and :math:`L_r = \\ln n / \\ln k`.
        agreement: The area under the ROC curve of :math:`|A_{ij}| + |A_{ji}|` for the data's edges.
    """

    density: float
    entropy: float
    self_loops: float
    strongest_sink: float
    distance: float
    reciprocity: float
    clustering: float
    spectral_gap: float
    small_world: float
    agreement: float = NAN


def topology(weight: np.ndarray, apart: np.ndarray | None = None) -> Topology:
    """The measures of a graph, but for its agreement with another.

    Args:
        weight (ndarray): ``[N, N]``, row i what arrives at node i; 0 where there is no edge.
        apart (ndarray, optional): How far each two nodes are apart, ``[N, N]``; infinite where
            they are not joined at all.
    """
    weight = np.abs(weight).astype(np.float64)
    nodes = len(weight)
    loops = weight.diagonal()
    others = weight - np.diag(loops)
    total = weight.sum(1)
    share = weight[total > 0] / total[total > 0, None]
    readers = len(share)
    if not readers:
        return Topology(0.0, *[NAN] * 8)
    logarithm = np.log(share, out=np.zeros_like(share), where=share > 0)
    of_others = share.copy()
    of_others[np.arange(readers), np.flatnonzero(total > 0)] = 0
    between = others.sum()
    mutual = np.minimum(others, others.T).sum()
    return Topology(
        density=float(np.count_nonzero(others) / max(nodes * (nodes - 1), 1)),
        entropy=float(-(share * logarithm).sum(1).mean()),
        self_loops=float((share.sum(1) - of_others.sum(1)).mean()),
        strongest_sink=float(of_others.sum(0).max() / readers),
        distance=NAN if apart is None else _mean_distance(share, apart[total > 0]),
        reciprocity=float(mutual / between) if between else NAN,
        clustering=float(clustering(undirected(weight)).mean()),
        spectral_gap=float(laplacian_eigenvalues(weight)[1]) if nodes > 1 else NAN,
        small_world=small_world(_backbone(weight)),
    )


def undirected(weight: np.ndarray) -> np.ndarray:
    """Half of both directions together, without loops, ``[N, N]``."""
    weight = np.abs(weight).astype(np.float64)
    both = (weight + weight.T) / 2
    np.fill_diagonal(both, 0)
    return both


def clustering(weight: np.ndarray) -> np.ndarray:
    r"""The weighted clustering coefficient of each node of an undirected graph, ``[N]``.

    .. math::
        c_i = \frac{1}{k_i (k_i - 1)} \sum_{j, k} (\hat w_{ij} \hat w_{jk} \hat w_{ki})^{1/3}

    with weights over the largest, as :func:`networkx.clustering` has it, which takes minutes for
    the dense graphs of attention. 0 for nodes of fewer than two neighbours.

    Args:
        weight (ndarray): Symmetric, without loops, ``[N, N]``.
    """
    degree = np.count_nonzero(weight, axis=1)
    root = np.cbrt(weight / max(weight.max(), np.finfo(np.float64).tiny))
    triangles = ((root @ root) * root).sum(1)
    pairs = degree * (degree - 1)
    return np.divide(triangles, pairs, out=np.zeros(len(weight)), where=pairs > 0)


def laplacian_eigenvalues(weight: np.ndarray) -> np.ndarray:
    """The eigenvalues of the normalised Laplacian of the undirected graph, the smallest first,
    ``[N]``; as many are 0 as there are parts that no edge joins."""
    both = undirected(weight)
    degree = both.sum(1)
    scale = np.divide(1.0, np.sqrt(degree), out=np.zeros_like(degree), where=degree > 0)
    matrix = np.diag((degree > 0).astype(np.float64)) - scale[:, None] * both * scale
    return eigvalsh(matrix).clip(0, 2)


def small_world(joined: np.ndarray) -> float:
    """How much more clustered an undirected graph is than a random one, over how much longer its
    paths are: above 1 in small worlds. Of the largest part that hangs together.

    Args:
        joined (ndarray): Symmetric, without loops, ``[N, N]``, bool.
    """
    _, part = connected_components(joined, directed=False)
    kept = part == np.bincount(part).argmax()
    joined = joined[np.ix_(kept, kept)]
    nodes = len(joined)
    degree = joined.sum() / nodes
    if degree <= 1:  # no random graph of so few edges hangs together
        return NAN
    length = _steps(joined) / (nodes * (nodes - 1))
    clustered = clustering(joined.astype(np.float64)).mean()
    index = (clustered / (degree / (nodes - 1))) / (length / (np.log(nodes) / np.log(degree)))
    return float(index)


def _steps(joined: np.ndarray) -> float:
    """The lengths of the shortest paths between all ordered pairs of a graph that hangs together,
    added up.

    Of few edges by a search from each node; of many, where paths are short, by products.
    """
    if joined.sum() < DENSE * len(joined):
        return float(shortest_path(csr_array(joined), directed=False, unweighted=True).sum())
    edges, reached = joined.astype(np.float32), np.eye(len(joined), dtype=np.float32)
    total, length = 0.0, 0
    while (missing := reached.size - reached.sum()) > 0:
        length += 1
        reached = np.minimum(reached + reached @ edges, 1)
        total += length * float(missing - (reached.size - reached.sum()))
    return total


def _backbone(weight: np.ndarray) -> np.ndarray:
    """The edges, in either direction, that weigh at least as much as those that arrive with them
    do in the mean: equal ones all stay, whatever their rounding."""
    others = weight - np.diag(weight.diagonal())
    number = np.count_nonzero(others, axis=1, keepdims=True)
    mean = others.sum(1, keepdims=True) / np.maximum(number, 1)
    joined = (others > 0) & (others >= (1 - TIED) * mean)
    return joined | joined.T


def _mean_distance(share: np.ndarray, apart: np.ndarray) -> float:
    """By shares of what is joined at all."""
    known = np.isfinite(apart)
    weight = (share * known).sum()
    if not weight:
        return NAN
    return float((share * np.where(known, apart, 0)).sum() / weight)
