import pytest
import torch

from gia.adjacency import CausalScope, FullScope

PTR = torch.tensor([0, 3, 3, 4, 8])


def pairs(scope):
    return {tuple(pair) for pair in scope.edge_index().T.tolist()}


def test_causal_pairs_are_the_past_of_the_same_graph():
    graph = [0, 0, 0, 2, 3, 3, 3, 3]
    expected = {(j, i) for i in range(8) for j in range(8) if j <= i and graph[i] == graph[j]}
    assert pairs(CausalScope(PTR)) == expected


def test_full_pairs_are_the_same_graph():
    graph = [0, 0, 0, 2, 3, 3, 3, 3]
    expected = {(j, i) for i in range(8) for j in range(8) if graph[i] == graph[j]}
    assert pairs(FullScope(PTR)) == expected


@pytest.mark.parametrize("scope", [CausalScope, FullScope])
def test_edges_are_ordered_by_target_then_source(scope):
    source, target = scope(PTR).edge_index()
    key = target * 8 + source
    assert torch.equal(key, key.sort().values)
    assert torch.equal(target.bincount(minlength=8), scope(PTR).count())


@pytest.mark.parametrize("ptr", [[1, 3], [0, 3, 2], []])
def test_a_wrong_ptr_is_named(ptr):
    with pytest.raises(ValueError, match="ptr must start at 0"):
        CausalScope(torch.tensor(ptr, dtype=torch.long))


def test_sizes_that_do_not_fit_are_named():
    assert CausalScope(PTR, [3, 0, 1, 4]).num_nodes == 8
    with pytest.raises(ValueError, match="2 sizes do not fit the 4 graphs"):
        CausalScope(PTR, [4, 4])
