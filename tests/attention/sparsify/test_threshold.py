import pytest
import torch

from gia.attention import AttentionAdjacency, CausalScope, DotProductScore, Softmax
from gia.attention.sparsify import Threshold


@pytest.mark.parametrize("form", ["dense", "edges"])
def test_edges_are_the_weights_above_it(form):
    adjacency = AttentionAdjacency(
        score=DotProductScore(8, 2), normalize=Softmax(), sparsify=Threshold(0.0), form=form
    )
    x, scope = torch.randn(8, 8), CausalScope(torch.tensor([0, 8]))
    every = adjacency(x, scope).to_edges()
    adjacency.sparsify = Threshold(0.15)
    some = adjacency(x, scope).to_edges()
    above = every.edge_weight > 0.15
    assert 0 < above.sum() < above.numel()
    assert torch.equal(some.edge_index, every.edge_index[:, above])
    torch.testing.assert_close(some.edge_weight, every.edge_weight[above])


@pytest.mark.parametrize("threshold", [-1.0, float("nan"), float("inf")])
def test_impossible_thresholds_are_named(threshold):
    with pytest.raises(ValueError, match=f"finite and not negative, got {threshold}"):
        Threshold(threshold)


def test_it_is_not_trained():
    assert not any(parameter.requires_grad for parameter in Threshold().parameters())
