"""Random-walk and Laplacian encodings."""

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.sparse.linalg import ArpackNoConvergence
from torch_geometric.data import Data
from torch_geometric.transforms import AddRandomWalkPE, Compose
from torch_geometric.utils import erdos_renyi_graph, get_laplacian, to_dense_adj, to_undirected

from gia.data import LaplacianPE, laplacian_eigenvectors
from gia.data.datasets.molecules import to_graph
from gia.data.transforms import chain


def laplacian(edge_index, n):
    index, weight = get_laplacian(edge_index, normalization="sym", num_nodes=n)
    return to_dense_adj(index, edge_attr=weight, max_num_nodes=n)[0].double()


def test_walks_come_back():
    data = AddRandomWalkPE(4)(Data(edge_index=chain(3), num_nodes=3))
    # From an end of a path of three: to the middle, and back with probability 1/2.
    assert data.random_walk_pe.tolist() == [[0, 0.5, 0, 0.5], [0, 1, 0, 1], [0, 0.5, 0, 0.5]]


@pytest.mark.parametrize("n", [5, 60, 700])
def test_eigenvectors_are_eigenvectors(n):
    edge_index = erdos_renyi_graph(n, min(0.5, 8 / n))
    vectors = laplacian_eigenvectors(edge_index, n, 4).double()
    image = laplacian(edge_index, n) @ vectors
    values = (vectors * image).sum(0)
    assert torch.allclose(image, vectors * values, atol=1e-4)
    assert torch.allclose(vectors.T @ vectors, torch.eye(4).double(), atol=1e-4)
    # The smallest ones after the first.
    expected = torch.linalg.eigvalsh(laplacian(edge_index, n))[1:5]
    assert torch.allclose(values, expected, atol=1e-4)


@pytest.mark.parametrize("smiles", ["C", "[Na+].[Cl-]", "CC", "CCO"])
def test_small_graphs_have_finite_encodings(smiles):
    data = Compose([AddRandomWalkPE(8), LaplacianPE(5)])(to_graph(smiles))
    assert data.random_walk_pe.shape == (data.num_nodes, 8)
    assert data.laplacian_eigenvector_pe.shape == (data.num_nodes, 5)
    assert data.random_walk_pe.isfinite().all()
    assert data.laplacian_eigenvector_pe.isfinite().all()
    assert (data.laplacian_eigenvector_pe[:, max(0, data.num_nodes - 1) :] == 0).all()
    assert bool(data.num_edges) == bool(data.laplacian_eigenvector_pe.any())


def test_directions_are_left_aside():
    one_way = torch.tensor([[0, 1, 2, 0], [1, 2, 3, 3]])
    both = laplacian_eigenvectors(to_undirected(one_way), 4, 2)
    assert torch.equal(laplacian_eigenvectors(one_way, 4, 2), both)


def test_what_does_not_converge_is_solved_densely(monkeypatch):
    def fail(*args, **kwargs):
        raise ArpackNoConvergence("%s", [], [])

    expected = laplacian_eigenvectors(chain(600), 600, 2)
    monkeypatch.setattr("scipy.sparse.linalg.eigsh", fail)
    assert torch.allclose(laplacian_eigenvectors(chain(600), 600, 2), expected, atol=1e-5)
    assert expected.std() > 0.03


def test_the_random_state_is_left_alone():
    before = torch.get_rng_state()
    laplacian_eigenvectors(chain(9), 9, 3)
    assert torch.equal(torch.get_rng_state(), before)


def digest(*seeds):
    for seed, draw in zip(seeds, (np.random.seed, torch.manual_seed), strict=True):
        draw(seed)
    found = [laplacian_eigenvectors(chain(n), n, 4) for n in (6, 90, 700)]
    return hashlib.sha256(b"".join(v.numpy().tobytes() for v in found)).hexdigest()


def test_other_seeds_and_another_process_give_the_same_numbers():
    here = digest(1, 2)
    assert digest(3, 4) == here
    code = (
        f"import sys; sys.path[:0] = {sys.path}; import test_encodings as t; print(t.digest(5, 6))"
    )
    there = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parent,
    )
    assert there.stdout.strip() == here
