import pytest
import torch

from gia.attention import AttentionAdjacency, CausalScope, DotProductScore, FullScope, Softmax
from gia.attention.sparsify import TopK

PTR = torch.tensor([0, 4, 4, 5, 11])
EMPTY = torch.tensor([0, 0, 0])


def dense(scope, x, sparsify=None):
    torch.manual_seed(1)
    return AttentionAdjacency(
        score=DotProductScore(8, 2), normalize=Softmax(), sparsify=sparsify, form="dense"
    )(x, scope)


@pytest.mark.parametrize("sparsify", [None, TopK(2)])
@pytest.mark.parametrize("scope", [CausalScope, FullScope])
def test_padding_holds_no_edge(scope, sparsify):
    scope = scope(PTR)
    graph = dense(scope, torch.randn(11, 8), sparsify)
    edges = graph.to_edges().of_heads()
    expected = scope.count() if sparsify is None else scope.count().clamp(max=2)
    assert torch.equal(graph.count().expand(11, 2), expected.unsqueeze(1).expand(11, 2).float())
    assert edges.edge_weight.numel() == 2 * expected.sum()
    assert (edges.edge_weight > 0).all()
    for block, weight in zip(graph.blocks, graph.weights, strict=True):
        outside = ~(block.mask.unsqueeze(1) & block.mask.unsqueeze(2)).unsqueeze(1)
        assert not weight.masked_select(outside.expand(weight.shape)).any()


@pytest.mark.parametrize("sparsify", [None, TopK(2)])
@pytest.mark.parametrize("scope", [CausalScope, FullScope])
def test_a_batch_without_nodes(scope, sparsify):
    x = torch.zeros(0, 8, requires_grad=True)
    graph = dense(scope(EMPTY), x, sparsify)
    for out in (
        graph.sum(x.view(0, 2, 4)),
        graph.max(x.view(0, 2, 4)),
        *graph.moments(x.view(0, 2, 4)),
    ):
        assert out.shape == (0, 2, 4)
    assert graph.degree().shape == (0, 2)
    assert graph.to_edges().edge_index.shape == (2, 0)


def test_features_of_another_precision_come_back_in_it():
    graph = dense(CausalScope(PTR), torch.randn(11, 8))
    for dtype in (torch.bfloat16, torch.float16, torch.float64):
        x = torch.randn(11, 2, 4).to(dtype)
        for form in (graph, graph.to_edges()):
            found = form.sum(x)
            assert found.dtype == dtype
            exact = graph.to_edges().in_precision(torch.float64).sum(x.double())
            tolerance = max(torch.finfo(dtype).eps, 1e-6)
            torch.testing.assert_close(found.double(), exact, rtol=tolerance, atol=tolerance)
