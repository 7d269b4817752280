"""Eigenvectors of the Laplacian, the same ones in every run."""

import numpy as np
import torch
from scipy.sparse.linalg import ArpackError
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.transforms import AddLaplacianEigenvectorPE, BaseTransform
from torch_geometric.utils import subgraph, to_undirected


class _Laplacian(AddLaplacianEigenvectorPE):
    # Up to here a dense solver is fast, and needs no start vector and no convergence.
    SPARSE_THRESHOLD = 500


class LaplacianPE(BaseTransform):
    """PyG's ``AddLaplacianEigenvectorPE`` with fixed signs, for graphs of any size.

    See :func:`laplacian_eigenvectors`. Each component of ``data.component`` has its own.

    Args:
        k: eigenvectors.
        attr_name: where they go.

    Shapes:
        data[attr_name]: [N, k], float32

    Raises:
        ValueError: if k is below 1.
    """

    def __init__(self, k: int, attr_name: str = "laplacian_eigenvector_pe") -> None:
        if k < 1:
            raise ValueError(f"there must be at least 1 eigenvector, got k={k}")
        self.k, self.attr_name = k, attr_name

    def forward(self, data: Data) -> Data:
        edge_index, nodes = data.edge_index, data.num_nodes
        component = data.get("component")
        if component is None:
            data[self.attr_name] = laplacian_eigenvectors(edge_index, nodes, self.k)
            return data
        found = torch.zeros(nodes, self.k)
        for number in component.unique().tolist():
            own = component == number
            inside, _ = subgraph(own, edge_index, relabel_nodes=True, num_nodes=nodes)
            found[own] = laplacian_eigenvectors(inside, int(own.sum()), self.k)
        data[self.attr_name] = found
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
