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


def test_padding_round_trip():
    scope = CausalScope(PTR)
    x = torch.randn(8, 2, 3)
    padded = scope.pad(x)
    assert padded.shape == (4, 4, 2, 3)
    assert torch.equal(scope.unpad(padded), x)
    assert torch.equal(padded[~scope.mask], torch.zeros(8, 2, 3))


def test_equal_lengths_are_not_copied():
    x = torch.randn(6, 5)
    padded = CausalScope(torch.tensor([0, 3, 6])).pad(x)
    assert padded.data_ptr() == x.data_ptr()


@pytest.mark.parametrize("ptr", [[1, 3], [0, 3, 2], []])
def test_a_wrong_ptr_is_named(ptr):
    with pytest.raises(ValueError, match="ptr must start at 0"):
        CausalScope(torch.tensor(ptr, dtype=torch.long))
