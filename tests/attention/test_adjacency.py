import pytest
import torch
from laws import make_adjacency

from gia.attention import (
    AddInputGraph,
    AttentionAdjacency,
    Cache,
    CausalScope,
    Differential,
    DotProduct,
    DotProductScore,
    FullScope,
    FusedSoftmax,
    HeadNorm,
    ReLU,
    Softmax,
    WindowScope,
)
from gia.attention.sparsify import TopK


def test_the_weights_of_a_node_add_up_to_one():
    scope = FullScope(torch.tensor([0, 4, 9]))
    edges = make_adjacency(16, 2)(torch.randn(9, 16), scope).to_edges()
    torch.testing.assert_close(edges.degree(), torch.ones(9, 2))


def test_sharpening_and_temperature_divide_and_multiply_the_scores():
    scores = DotProduct(torch.randn(4, 2, 8), torch.randn(4, 2, 8))
    scope = FullScope(torch.tensor([0, 4]))
    normalize = Softmax(temperature=0.5, sharpening=1.5)
    made = FusedSoftmax(normalize.scale(scores), scope).to_edges()
    (block,) = scope.blocks(2)
    expected = (scores.on(block) * 1.5 / 0.5).softmax(-1)[0]  # [H, target, source]
    source, target = made.edge_index
    torch.testing.assert_close(made.edge_weight, expected[:, target, source].T)


def test_sharpening_starts_where_it_should_and_is_trained():
    assert Softmax(sharpening=1.3).sharpening.item() == pytest.approx(1.3)
    starts = {Softmax(sharpening=(0.5, 1.5)).sharpening.item() for _ in range(20)}
    assert len(starts) == 20
    assert all(0.5 <= start <= 1.5 for start in starts)
    assert Softmax().sharpening.requires_grad
    assert not Softmax(train_sharpening=False).sharpening.requires_grad


def test_bad_settings_are_named():
    with pytest.raises(ValueError, match="heads must divide the width: 3 heads, 16 wide"):
        DotProductScore(16, 3)
    with pytest.raises(ValueError, match="temperature must be above 0, got 0"):
        Softmax(temperature=0)
    with pytest.raises(
        ValueError, match="form must be one of auto, fused, dense, edges, got 'csr'"
    ):
        AttentionAdjacency(score=DotProductScore(16, 2), normalize=Softmax(), form="csr")


def test_impossible_hops_are_named():
    with pytest.raises(ValueError, match="hops must be at least 1, got 0"):
        AttentionAdjacency(score=DotProductScore(16, 2), normalize=Softmax(), hops=0)


def test_forms_that_are_not_to_be_had_are_named():
    x, ptr = torch.randn(4, 16), torch.tensor([0, 4])
    adjacency = make_adjacency(16, 2, form="fused")
    with pytest.raises(
        ValueError, match="products over all pairs of a causal or full scope: use form=auto"
    ):
        adjacency(x, WindowScope(ptr, window=1))
    adjacency.sparsify = TopK(2)
    with pytest.raises(ValueError, match="form=fused is a softmax of dot products"):
        adjacency(x, FullScope(ptr))


@pytest.mark.parametrize(
    "parts",
    [
        {"normalize": Softmax(), "sparsify": TopK(2)},
        {"normalize": Softmax(), "sparsify": TopK(fraction=0.5, published=True)},
        {"normalize": Softmax(), "given": AddInputGraph(2)},
        {"normalize": ReLU()},
        {"normalize": Differential(head_norm=HeadNorm(2, published=True))},
    ],
    ids=["top_k", "published", "given", "relu", "published_norm"],
)
def test_graphs_that_cannot_be_continued_refuse_a_cache(parts):
    score = DotProductScore(16, 2, maps=parts["normalize"].maps)
    adjacency = AttentionAdjacency(score=score, **parts)
    scope, cache = CausalScope(torch.tensor([0, 4])), Cache(1, 8)
    cache.extend(scope)
    assert not adjacency.continuable
    with pytest.raises(ValueError, match="use_cache=False does without"):
        adjacency(torch.randn(4, 16), scope, None, cache.memories[0])
