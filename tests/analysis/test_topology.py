"""Measures of graphs, against NetworkX and against graphs whose values are known."""

import math

import networkx as nx
import numpy as np
import pytest

from gia.analysis.rollout import attention_rollout
from gia.analysis.topology import (
    clustering,
    laplacian_eigenvalues,
    small_world,
    topology,
    undirected,
)


def drawn(seed, nodes=17, share=0.4):
    generator = np.random.default_rng(seed)
    weight = generator.random((nodes, nodes)) * (generator.random((nodes, nodes)) < share)
    return weight


@pytest.mark.parametrize("seed", range(4))
def test_as_networkx_has_it(seed):
    weight = drawn(seed)
    directed = nx.from_numpy_array(weight.T, create_using=nx.DiGraph)  # row i is what arrives at i
    directed.remove_edges_from(list(nx.selfloop_edges(directed)))
    both = undirected(weight)
    plain = nx.from_numpy_array(both)
    found = topology(weight)
    assert found.density == pytest.approx(nx.density(directed))
    assert found.clustering == pytest.approx(nx.average_clustering(plain, weight="weight"))
    laplacian = nx.normalized_laplacian_matrix(plain, nodelist=range(len(weight))).toarray()
    eigenvalues = np.linalg.eigvalsh(laplacian)
    np.testing.assert_allclose(laplacian_eigenvalues(weight), eigenvalues, atol=1e-12)
    assert found.spectral_gap == pytest.approx(eigenvalues[1])
    binary = topology((weight > 0).astype(float))
    assert binary.reciprocity == pytest.approx(nx.overall_reciprocity(directed))


def test_of_isolated_nodes():
    weight = np.zeros((5, 5))
    weight[1, 0] = weight[2, 1] = 1.0  # 3 and 4 read nothing and are not read
    plain = nx.from_numpy_array(undirected(weight))
    expected = np.linalg.eigvalsh(nx.normalized_laplacian_matrix(plain).toarray())
    np.testing.assert_allclose(laplacian_eigenvalues(weight), expected, atol=1e-12)
    assert topology(weight).spectral_gap == pytest.approx(0)
    nothing = topology(np.zeros((3, 3)))
    assert nothing.density == 0
    assert math.isnan(nothing.entropy)
    assert math.isnan(topology(np.ones((1, 1))).spectral_gap)


def test_uniform_causal_attention():
    """Node i reads itself and all i before it alike."""
    number = 12
    weight = np.tril(np.ones((number, number))) / np.arange(1, number + 1)[:, None]
    place = np.arange(number)
    found = topology(weight, np.abs(place[:, None] - place))
    assert found.density == pytest.approx(0.5)
    assert found.entropy == pytest.approx(np.log(place + 1).mean())
    assert found.self_loops == pytest.approx((1 / (place + 1)).mean())
    assert found.strongest_sink == pytest.approx((1 / (place[1:] + 1)).sum() / number)
    assert found.distance == pytest.approx((place / 2).mean())
    assert found.reciprocity == 0
    assert found.clustering == pytest.approx(
        nx.average_clustering(nx.from_numpy_array(undirected(weight)), weight="weight")
    )


def test_scale_and_sign_do_not_matter():
    weight = drawn(5)
    signs = np.where(drawn(6) > 0.2, -1, 1)
    np.testing.assert_allclose(topology(weight), topology(-3 * weight * signs), equal_nan=True)


def test_distance_leaves_out_what_is_not_joined():
    weight = np.array([[0, 0.5, 0.5], [1, 0, 0], [1, 0, 0]])
    apart = np.array([[0, 2, np.inf], [2, 0, np.inf], [np.inf, np.inf, 0]])
    assert topology(weight, apart).distance == pytest.approx(2)


def test_small_worlds():
    """Rewiring a few edges of a ring makes a small world; a ring of high order is clustered, a
    random graph is none."""
    ring = nx.watts_strogatz_graph(120, 8, 0.0, seed=0)
    small = nx.watts_strogatz_graph(120, 8, 0.1, seed=0)
    random = nx.watts_strogatz_graph(120, 8, 1.0, seed=0)
    indices = [small_world(nx.to_numpy_array(graph, dtype=bool)) for graph in (ring, small, random)]
    assert indices[1] > indices[0] > indices[2]
    assert indices[1] > 3
    assert indices[2] == pytest.approx(1, abs=0.35)
    complete = ~np.eye(6, dtype=bool)
    assert small_world(complete) == pytest.approx(math.log(6) / math.log(5))
    assert math.isnan(small_world(np.zeros((4, 4), dtype=bool)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_small_world_of_equal_weights_is_that_of_the_edges(dtype):
    """Whatever the rounding: with weights of one, with means over neighbours, and with loops."""
    joined = nx.to_numpy_array(nx.watts_strogatz_graph(60, 6, 0.1, seed=0), dtype=bool)
    expected = small_world(joined)
    weight = joined.astype(dtype)
    means = weight / weight.sum(1, keepdims=True)
    assert expected > 2
    for one in (weight, means, means + 5 * np.eye(60, dtype=dtype)):
        assert topology(one).small_world == pytest.approx(expected)
    causal = np.tril(np.ones((9, 9), dtype=dtype)) / np.arange(1, 10, dtype=dtype)[:, None]
    assert topology(causal).small_world == pytest.approx(math.log(9) / math.log(8))


@pytest.mark.parametrize("neighbours", [4, 15, 16, 40])
def test_small_world_of_few_and_of_many_edges(neighbours):
    """Paths are as long as NetworkX says, found by a search or by products."""
    graph = nx.connected_watts_strogatz_graph(90, neighbours, 0.05, seed=0)
    joined = nx.to_numpy_array(graph, dtype=bool)
    degree = joined.sum() / 90
    expected = (nx.average_clustering(graph) / (degree / 89)) / (
        nx.average_shortest_path_length(graph) / (math.log(90) / math.log(degree))
    )
    assert small_world(joined) == pytest.approx(expected)


def test_clustering_of_a_triangle_with_a_tail():
    weight = np.zeros((4, 4))
    for i, j in ((0, 1), (1, 2), (0, 2), (2, 3)):
        weight[i, j] = weight[j, i] = 1
    assert clustering(weight).tolist() == pytest.approx([1, 1, 1 / 3, 0])


def test_rollout_of_a_chain_of_readers():
    """Every node reads the one before it: after two layers half of what it has is its own quarter,
    as in (S + I)^2 / 4."""
    shift = np.eye(5, k=-1)
    found = attention_rollout([np.stack([shift, shift]), 2 * shift[None]])
    step = (shift + np.eye(5)) / 2
    step[0, 0] = 1  # the first reads nothing: it hands on what it has
    np.testing.assert_allclose(found, step @ step)
    np.testing.assert_allclose(found.sum(1), 1)


def test_rollout_takes_layers_in_their_order():
    first, second = np.abs(drawn(0))[None], np.abs(drawn(1))[None]
    steps = [
        (np.divide(w[0], w[0].sum(1, keepdims=True)) + np.eye(17)) / 2 for w in (first, second)
    ]
    np.testing.assert_allclose(attention_rollout([first, second]), steps[1] @ steps[0])
    with pytest.raises(ValueError, match="no layer"):
        attention_rollout([])


def test_clustering_without_weights():
    graph = nx.watts_strogatz_graph(40, 6, 0.3, seed=1)
    found = clustering(nx.to_numpy_array(graph))
    np.testing.assert_allclose(found, list(nx.clustering(graph).values()), atol=1e-12)
