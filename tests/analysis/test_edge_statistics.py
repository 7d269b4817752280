"""The numbers that say what the edges of a causal graph are like, on graphs that are known."""

import math

import pytest
import torch
from torch_geometric.data import Data

from gia.analysis import edge_statistics


def causal(length):
    target, source = torch.tril_indices(length, length)
    return torch.stack([source, target])


def graph(edge_index, weight, length):
    return Data(edge_index=edge_index, edge_weight=weight, num_nodes=length)


def test_the_mean_of_all_that_came_before():
    length = 5
    index = causal(length)
    found = edge_statistics([graph(index, torch.ones(index.size(1), 2), length)])
    # Node i reads i + 1 nodes equally, at distances 0 to i.
    assert found["edges"] == pytest.approx(3)
    assert found["kept"] == pytest.approx(1)
    assert found["distance"] == pytest.approx(sum(i / 2 for i in range(5)) / 5)
    harmonic = sum(1 / (i + 1) for i in range(5))
    assert found["self"] == pytest.approx(harmonic / 5)
    assert found["strongest"] == pytest.approx(harmonic / 5)
    assert found["first"] == pytest.approx((harmonic - 1) / 5)  # what it sends itself is no sink


def test_signs_and_the_scale_of_a_row_say_nothing_and_readers_count_once():
    index = torch.tensor([[0, 1, 1], [1, 2, 3]])
    weight = torch.tensor([[3.0], [-0.1], [0.0]])
    found = edge_statistics([graph(index, weight, 4)])
    assert found["edges"] == 0.5  # an edge of no weight is none
    assert found["kept"] == pytest.approx(2 / 10)
    assert found["distance"] == pytest.approx(1)
    assert found["self"] == 0
    assert found["first"] == pytest.approx(0.5)
    assert found["strongest"] == pytest.approx(1)


def test_several_graphs_and_heads_are_one_mean():
    torch.manual_seed(0)
    index = causal(6)
    weight = torch.rand(index.size(1), 3)
    together = edge_statistics([graph(index, weight, 6), graph(index, weight.flip(1), 6)])
    apart = [edge_statistics([graph(index, weight[:, i : i + 1], 6)]) for i in range(3)]
    for name, value in together.items():
        assert value == pytest.approx(sum(one[name] for one in apart) / 3), name


def test_no_edges_at_all_are_no_number():
    found = edge_statistics([graph(torch.zeros(2, 0, dtype=torch.long), torch.zeros(0, 1), 3)])
    assert all(map(math.isnan, found.values()))
