"""Structural and positional encodings of nodes, by PyG's transforms."""

import numpy as np
import torch
from scipy.sparse.linalg import ArpackError
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.transforms import AddLaplacianEigenvectorPE, AddRandomWalkPE
from torch_geometric.utils import to_undirected


class _Laplacian(AddLaplacianEigenvectorPE):
    # Up to here a dense solver is fast, and needs no start vector and no convergence.
    SPARSE_THRESHOLD = 500


def add_encodings(data: Data, rwse: int = 0, laplacian: int = 0) -> Data:
    """Give a graph's nodes their encodings.

    ``random_walk_pe [N, rwse]``: the probabilities that a random walk is back after 1, 2, ... steps
    (`Dwivedi et al., 2022 <https://arxiv.org/abs/2110.07875>`_).
    ``laplacian_eigenvector_pe [N, laplacian]``: see :func:`laplacian_eigenvectors`.

    Args:
        data: the graph, changed in place.
        rwse: steps of the walk; 0 leaves them out.
        laplacian: eigenvectors; 0 leaves them out.
    """
    if rwse:
        walk = AddRandomWalkPE(rwse, attr_name="random_walk_pe")
        graph = Data(edge_index=data.edge_index, num_nodes=data.num_nodes)
        data.random_walk_pe = walk(graph).random_walk_pe
    if laplacian:
        data.laplacian_eigenvector_pe = laplacian_eigenvectors(
            data.edge_index, data.num_nodes, laplacian
        )
    return data


def laplacian_eigenvectors(edge_index: Tensor, num_nodes: int, k: int) -> Tensor:
    """The k first non-trivial eigenvectors of the symmetric normalised Laplacian.

    The same graph always gets the same numbers: PyG draws a sign for each vector and ARPACK its
    start vector; here both are fixed. An eigenvector has no sign of its own all the same, nor has
    a repeated eigenvalue a basis: a model must not depend on the sign.

    Directions of edges are left aside. A graph with fewer than k + 1 nodes gets zeros in place of
    the vectors that it lacks, and a graph without edges, whose every vector is one, zeros only.

    Args:
        edge_index: edges.
        num_nodes: number of nodes N.
        k: number of eigenvectors.

    Shapes:
        edge_index: [2, E]
        returns: [N, k], float32
    """
    found = min(k, num_nodes - 1)
    padded = torch.zeros(num_nodes, k)
    if found < 1 or edge_index.numel() == 0:
        return padded
    edge_index = to_undirected(edge_index, num_nodes=num_nodes)
    # Float64, so that nearly equal eigenvalues are told apart alike on every machine.
    weight = torch.ones(edge_index.size(1), dtype=torch.float64)
    graph = Data(edge_index=edge_index, edge_weight=weight, num_nodes=num_nodes)
    # Not a constant vector, which may be an eigenvector itself.
    start = np.random.default_rng(0).standard_normal(num_nodes)
    transform = _Laplacian(found, attr_name="laplacian", is_undirected=True, v0=start)
    state = torch.get_rng_state()  # PyG draws signs from it
    try:
        vectors = transform(graph).laplacian
    except ArpackError:  # it did not converge
        transform.SPARSE_THRESHOLD = num_nodes + 1
        vectors = transform(graph).laplacian
    torch.set_rng_state(state)
    padded[:, :found] = _with_fixed_sign(vectors).float()
    return padded


def _with_fixed_sign(vectors: Tensor) -> Tensor:
    """Each column with the sign that makes its first entry that is not nearly 0 positive."""
    sizable = vectors.abs() > 1e-3 * vectors.abs().amax(0)
    first = sizable.int().argmax(0)  # of equals, argmax gives the first
    return vectors * vectors[first, torch.arange(vectors.size(1))].sign()
