import pytest
import torch
from layouts import layouts, one_graph

from gia.attention import (
    AttentionAdjacency,
    CausalScope,
    DotProductScore,
    FullScope,
    NeighborScope,
    ReLU,
    Softmax,
    WindowScope,
)
from gia.attention.scope import InputGraph
from gia.attention.sparsify import Chain, ScaledTopK, Threshold, TopK


def kept(sparsify, scope, weight):
    """Which pairs are kept, ``[H, L, L]``: the same in both layouts."""
    first, second = (
        back(sparsify.keep(values, pairs)) for pairs, (values,), back in layouts(scope, weight)
    )
    assert torch.equal(first, second)
    return first


def test_a_node_keeps_its_k_largest():
    weight = torch.rand(2, 9, 9)
    keep = kept(TopK(3), FullScope(one_graph(9)), weight)
    assert (keep.sum(-1) == 3).all()
    smallest_kept = weight.masked_fill(~keep, torch.inf).amin(-1)
    assert (smallest_kept > weight.masked_fill(keep, -torch.inf).amax(-1)).all()


@pytest.mark.parametrize("scope", [CausalScope, FullScope])
def test_a_node_with_fewer_candidates_keeps_what_there_is(scope):
    scope = scope(one_graph(5))
    keep = kept(TopK(4), scope, torch.rand(2, 5, 5))
    assert torch.equal(keep.sum(-1), scope.count().clamp(max=4).expand(2, -1))
    assert torch.equal(
        kept(TopK(10**6), scope, torch.rand(2, 5, 5)).sum(-1), scope.count().expand(2, -1)
    )


@pytest.mark.parametrize("scope", [CausalScope, FullScope])
def test_a_fraction_is_of_the_candidates_rounded_up(scope):
    scope = scope(one_graph(30))
    keep = kept(TopK(fraction=0.1), scope, torch.rand(1, 30, 30))
    expected = [-(-count // 10) for count in scope.count().tolist()]
    assert keep.sum(-1)[0].tolist() == expected


@pytest.mark.parametrize("scope", [CausalScope, FullScope])
@pytest.mark.parametrize("levels", [1, 2, 3])
def test_ties_at_the_cut_go_to_the_highest_sources(scope, levels):
    weight = torch.randint(levels, (3, 8, 8)).float()
    scope = scope(one_graph(8))
    keep = kept(TopK(3), scope, weight)
    source, target = scope.edge_index()
    for head in range(3):
        for node in range(8):
            candidates = source[target == node].tolist()
            ranked = sorted(candidates, key=lambda j: (-weight[head, node, j].item(), -j))
            assert keep[head, node].nonzero().flatten().tolist() == sorted(ranked[:3])


def test_what_an_earlier_step_dropped_is_not_revived():
    weight = torch.tensor([[[0.9, 0.05, 0.05], [0.3, 0.3, 0.4], [0.0, 0.0, 1.0]]])
    chain = Chain([Threshold(0.1), TopK(2)])
    keep = kept(chain, FullScope(one_graph(3)), weight)[0]
    assert keep.tolist() == [[True, False, False], [False, True, True], [False, False, True]]


def test_scaled_top_k_takes_predecessors_alone():
    scope = CausalScope(one_graph(12))
    keep = kept(ScaledTopK(0.25), scope, torch.rand(2, 12, 12))
    assert not keep.diagonal(dim1=1, dim2=2).any()
    assert keep.sum(-1)[1].tolist() == [0, *(max(1, -(-i // 4)) for i in range(1, 12))]


def test_scaled_top_k_drops_weights_below_the_threshold():
    weight = torch.rand(2, 12, 12)
    keep = kept(ScaledTopK(0.5, threshold=0.6), CausalScope(one_graph(12)), weight)
    assert (weight[keep] >= 0.6).all()
    before = torch.ones(12, 12).tril(-1).bool() & (weight >= 0.6)
    most = torch.tensor([max(1, -(-i // 2)) for i in range(12)])
    assert torch.equal(keep.sum(-1), torch.minimum(before.sum(-1), most))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "give either k or fraction, got k=None, fraction=None"),
        ({"k": 2, "fraction": 0.5}, "give either k or fraction, got k=2, fraction=0.5"),
        ({"k": 0}, "k must be a whole number of at least 1, got 0"),
        ({"k": 2.5}, "k must be a whole number of at least 1, got 2.5"),
        ({"fraction": 0}, "fraction must be above 0 and at most 1, got 0"),
        ({"fraction": 1.5}, "fraction must be above 0 and at most 1, got 1.5"),
        ({"fraction": float("nan")}, "fraction must be above 0 and at most 1, got nan"),
        ({"k": 2, "published": True}, "published=True changes what a fraction is"),
        ({"k": 2, "weighting": "sum"}, "one of keep, renormalize, binary, got 'sum'"),
    ],
)
def test_bad_settings_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        TopK(**settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"fraction": 0.0}, "fraction must be above 0 and at most 1, got 0.0"),
        ({"fraction": 2}, "fraction must be above 0 and at most 1, got 2"),
        ({"threshold": -0.1}, "threshold must be finite and not negative, got -0.1"),
        ({"threshold": float("nan")}, "threshold must be finite and not negative, got nan"),
        ({"threshold": float("inf")}, "threshold must be finite and not negative, got inf"),
    ],
)
def test_bad_settings_of_scaled_top_k_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        ScaledTopK(**settings)


def test_a_threshold_that_no_weight_reaches_is_named():
    parts = {"score": DotProductScore(8, 2), "sparsify": ScaledTopK(threshold=1.5)}
    with pytest.raises(ValueError, match=r"at most 1, which no weight exceeds, got 1\.5"):
        AttentionAdjacency(normalize=Softmax(), **parts)
    assert AttentionAdjacency(normalize=ReLU(), **parts).parts.drops  # scores have no bound


PUBLISHED = [TopK(fraction=0.3, published=True), ScaledTopK(0.3, published=True)]


@pytest.mark.parametrize("sparsify", [*PUBLISHED, Chain([Threshold(0.01), PUBLISHED[0]])])
def test_published_forms_are_dense_and_of_whole_graphs(sparsify):
    x, ptr = torch.randn(6, 8), torch.tensor([0, 6])
    adjacency = AttentionAdjacency(
        score=DotProductScore(8, 2), normalize=Softmax(), sparsify=sparsify
    )
    assert adjacency(x, CausalScope(ptr)).to_edges().edge_weight.numel() > 0
    given = InputGraph(torch.tensor([[0], [1]]))
    for scope in (WindowScope(ptr, window=2), NeighborScope(ptr, given=given)):
        with pytest.raises(ValueError, match=f"form=auto and {type(scope).__name__}"):
            adjacency(x, scope)
    for form in ("edges", "fused"):
        adjacency.form = form
        with pytest.raises(ValueError, match=f"needs form=dense .* got form={form}"):
            adjacency(x, CausalScope(ptr))


def test_the_published_fraction_is_of_the_whole_length():
    adjacency = AttentionAdjacency(
        score=DotProductScore(8, 2),
        normalize=Softmax(),
        sparsify=TopK(fraction=0.3, weighting="binary", published=True),
    )
    scope = CausalScope(torch.tensor([0, 10, 12]))
    degree = adjacency(torch.randn(12, 8), scope).degree()
    assert degree[:, 0].tolist() == [1, 2, *[3] * 8, 1, 1]
