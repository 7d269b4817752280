"""The pairs of nodes of a graph, on graphs that are counted by hand."""

import numpy as np
import pytest
import torch
from torch_geometric.data import Data

from gia.analysis import average_product_correction, given_pairs, pairs_of
from gia.analysis.pairs import far_apart, symmetric_weights


def graph(edges, weights, number):
    return Data(
        edge_index=torch.tensor(edges).T.reshape(2, -1),
        edge_weight=torch.tensor(weights),
        num_nodes=number,
    )


def test_a_pair_has_both_directions_parallel_edges_and_no_loop():
    drawn = graph([[0, 1], [1, 0], [2, 1], [2, 1], [2, 2]], [[1.0], [2], [4], [8], [16]], 3)
    assert symmetric_weights(drawn).tolist() == [[[0, 3, 0], [3, 0, 12], [0, 12, 0]]]


def test_of_a_causal_graph_it_is_the_direction_that_there_is():
    """Node 2 reads node 0, and never the other way round."""
    drawn = graph([[0, 0], [0, 1], [0, 2], [1, 2]], [[1.0], [0.5], [0.7], [0.2]], 3)
    weights = symmetric_weights(drawn)[0]
    assert weights[0, 2] == weights[2, 0] == pytest.approx(0.7)
    assert weights[1, 2] == pytest.approx(0.2)


def test_what_is_given():
    data = Data(edge_index=torch.tensor([[0, 0, 2, 1], [2, 2, 0, 1]]), num_nodes=4)
    # 01 02 03 12 13 23: parallel edges are one pair, a loop is none.
    assert given_pairs(data).tolist() == [False, True, False, False, False, False]
    assert given_pairs(Data(edge_index=torch.empty(2, 0).long(), num_nodes=1)).shape == (0,)


def test_the_average_product_correction_by_hand():
    weights = np.array([[0, 4, 2], [4, 0, 0], [2, 0, 0]], dtype=float)
    # Means of the nodes' two pairs: 3, 2, 1; of all three pairs: 2.
    expected = np.array([[0, 1, 0.5], [1, 0, -1], [0.5, -1, 0]])
    np.testing.assert_allclose(average_product_correction(weights), expected)
    np.testing.assert_allclose(average_product_correction(weights[None])[0], expected)


def test_what_only_nodes_explain_is_taken_away_and_nothing_stays_nothing():
    of_node = np.array([1.0, 1, 1, 1, 1])
    weights = np.outer(of_node, of_node) * 3
    np.fill_diagonal(weights, 0)
    np.testing.assert_allclose(average_product_correction(weights), 0, atol=1e-12)
    assert not average_product_correction(np.zeros((2, 4, 4))).any()
    assert average_product_correction(np.zeros((1, 1))).shape == (1, 1)


def test_pairs_of_an_item():
    data = Data(
        edge_index=torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]]),
        seq_pos=torch.tensor([0, 1, 5]),
        num_nodes=3,
    )
    torch.manual_seed(0)
    first = graph([[0, 1], [1, 2]], [[0.1, 0.2], [0.3, 0.4]], 3)
    third = graph([[2, 0]], [[0.5]], 3)
    pairs = pairs_of(data, [first, None, third])
    assert pairs.heads == [(1, 1), (1, 2), (3, 1)]  # a layer without a graph has no heads
    assert pairs.nodes.T.tolist() == [[0, 1], [0, 2], [1, 2]]
    assert pairs.joined.tolist() == [True, False, True]
    assert pairs.distance.tolist() == [1, 5, 4]  # what is missing within counts
    assert pairs.degrees.tolist() == [2, 1, 2]
    np.testing.assert_allclose(pairs.weights, [[0.1, 0.2, 0], [0, 0, 0.5], [0.3, 0.4, 0]])
    np.testing.assert_allclose(
        pairs.corrected[:, 0],
        average_product_correction(symmetric_weights(first))[0][np.triu_indices(3, 1)],
    )
    assert far_apart(pairs.distance, 3, 4).tolist() == [False, True, True]
    assert far_apart(None, 3, 4).tolist() == [True, True, True]
    with pytest.raises(ValueError, match="no layer of the model draws a graph"):
        pairs_of(data, [None, None])
