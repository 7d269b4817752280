import pytest
import torch

from gia.attention import (
    AttentionAdjacency,
    CausalScope,
    Differential,
    DotProductScore,
    FullScope,
    ReLU,
    Softmax,
)
from gia.attention.sparsify import (
    Chain,
    DropSinks,
    RandomEdges,
    ScaledTopK,
    Selection,
    Threshold,
    TopK,
    Window,
)

SELECTIONS = {
    "top_k": lambda w: TopK(2, weighting=w),
    "scaled_top_k": lambda w: ScaledTopK(0.3, weighting=w),
    "threshold": lambda w: Threshold(0.1, weighting=w),
    "window": lambda w: Window(1, weighting=w),
    "drop_sinks": lambda w: DropSinks(2, weighting=w),
    "random_edges": lambda w: RandomEdges(2, weighting=w),
    "chain": lambda w: Chain([DropSinks(), TopK(2, weighting=w)]),
}
FORMS = ["dense", "edges"]


def build(sparsify, form, normalize=None):
    normalize = normalize or Softmax()
    score = DotProductScore(8, 2, maps=normalize.maps)
    return AttentionAdjacency(score=score, normalize=normalize, sparsify=sparsify, form=form)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", SELECTIONS)
def test_kept_weights_are_attentions(name, form):
    adjacency, x = build(SELECTIONS[name]("keep"), form), torch.randn(9, 8)
    scope = CausalScope(torch.tensor([0, 9]))
    edges = adjacency(x, scope).to_edges().of_heads()
    adjacency.sparsify = None
    whole = adjacency(x, scope).to_edges()
    weight = torch.zeros(2, 9, 9)
    source, target = whole.edge_index
    if whole.head is None:
        weight[:, target, source] = whole.edge_weight.T
    else:
        weight[whole.head, target, source] = whole.edge_weight
    found = weight[edges.head, edges.edge_index[1], edges.edge_index[0]]
    torch.testing.assert_close(edges.edge_weight, found)
    assert 0 < edges.edge_weight.numel() < 2 * 45


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", SELECTIONS)
def test_renormalized_weights_add_up_to_one(name, form):
    scope = CausalScope(torch.tensor([0, 9]))
    graph = build(SELECTIONS[name]("renormalize"), form)(torch.randn(9, 8), scope)
    # None is left for a node whose edges were all dropped.
    torch.testing.assert_close(graph.degree(), (graph.count() > 0).float())


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", SELECTIONS)
def test_binary_weights_send_no_gradient_to_queries_and_keys(name, form):
    x, scope = torch.randn(9, 8), FullScope(torch.tensor([0, 9]))
    features = torch.randn(9, 2, 4)
    for weighting, reaches in (("keep", True), ("binary", False)):
        adjacency = build(SELECTIONS[name](weighting), form)
        out = adjacency(x, scope).sum(features)
        assert out.requires_grad == reaches
        if reaches:
            out.square().sum().backward()
            assert all(p.grad.abs().sum() > 0 for p in adjacency.parameters() if p.requires_grad)
        else:
            assert set(adjacency(x, scope).to_edges().edge_weight.tolist()) == {1}


@pytest.mark.parametrize("weighting", ["keep", "renormalize", "binary"])
@pytest.mark.parametrize("form", FORMS)
def test_a_node_without_edges_gets_zero_and_finite_gradients(form, weighting):
    scope = CausalScope(torch.tensor([0, 1, 1, 6]))
    adjacency = build(ScaledTopK(0.3, weighting=weighting), form)
    x = torch.randn(6, 8, requires_grad=True)
    graph, features = adjacency(x, scope), -torch.rand(6, 2, 4) - x.view(6, 2, 4).square()
    results = [graph.sum(features), graph.max(features), graph.min(features)]
    results += graph.moments(features)
    results.append(graph.per_degree(results[0]))
    for out in results:
        assert not out[[0, 1]].any()
        assert out.isfinite().all()
        assert out[2:].any()
    assert not graph.count()[[0, 1]].any()
    assert not graph.degree()[[0, 1]].any()
    sum(out.square().sum() for out in results).backward()
    assert x.grad.isfinite().all()
    assert all(p.grad is None or p.grad.isfinite().all() for p in adjacency.parameters())


@pytest.mark.parametrize("form", FORMS)
def test_weights_that_underflow_have_finite_gradients(form):
    """All of a node's attention goes to itself, and its edges go to others."""
    adjacency = build(ScaledTopK(0.3, weighting="renormalize"), form, Softmax(sharpening=40.0))
    x = (5 * torch.randn(9, 8)).requires_grad_()
    graph = adjacency(x, CausalScope(torch.tensor([0, 9])))
    features = torch.randn(9, 2, 4)
    total = graph.sum(features)
    (total.square().sum() + graph.per_degree(total).square().sum()).backward()
    assert x.grad.isfinite().all()
    keep = build(ScaledTopK(0.3), form, Softmax(sharpening=40.0))
    keep.load_state_dict(adjacency.state_dict())
    weight = keep(x, CausalScope(torch.tensor([0, 9]))).degree()[1:]
    assert (weight < torch.finfo(weight.dtype).tiny).any()


def test_unknown_weightings_are_named():
    with pytest.raises(ValueError, match="one of keep, renormalize, binary, got 'softmax'"):
        Selection("softmax")


def test_no_step_of_a_chain_may_be_out_of_reach():
    chain = Chain([TopK(2), Threshold(1.0)])
    with pytest.raises(ValueError, match=r"below 1, which no weight exceeds, got 1\.0"):
        build(chain, "auto")
    assert build(chain, "auto", ReLU()).parts.drops


@pytest.mark.parametrize("form", FORMS)
def test_of_signed_weights_the_largest_are_kept_with_their_sign(form):
    x, scope = torch.randn(6, 8), FullScope(torch.tensor([0, 6]))
    adjacency = build(TopK(4), form, Differential())
    torch.nn.init.constant_(adjacency.normalize.balance, 1.0)  # a row adds up to 0
    some = adjacency(x, scope).to_edges().of_heads()
    adjacency.sparsify = None
    every = adjacency(x, scope).to_edges().of_heads()
    row = every.edge_index[1] * 2 + every.head
    largest = torch.stack([every.edge_weight[row == r].topk(4).values.sum() for r in range(12)])
    found = torch.zeros(12).index_add(0, some.edge_index[1] * 2 + some.head, some.edge_weight)
    torch.testing.assert_close(found, largest)
    assert (some.edge_weight < 0).any()
