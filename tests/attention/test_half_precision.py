"""Half precision: sum and variance against float64, and whole layers without NaN."""

import pytest
import torch
from laws import layer_inputs

from gia.attention import (
    AddInputGraph,
    AttentionAdjacency,
    CausalScope,
    Differential,
    DotProduct,
    DotProductScore,
    FullScope,
    FusedSoftmax,
    HeadNorm,
    InputGraph,
    NeighborScope,
    ReLU,
    Softmax,
    WindowScope,
    sparsify,
)
from gia.graph import EdgeAdjacency
from gia.nn import GINAttention, PNAAttention, SoftmaxAttention


def moments(scope, offset, outlier, dtype):
    """Of features around an offset, the first node's further away: in a dtype, and exactly."""
    x, scope, _ = layer_inputs([40, 7, 1], scope, width=32)
    x = x.view(-1, 2, 16) + offset
    x[scope.ptr[:-1]] += outlier
    x = x.to(dtype)  # what is rounded here is nobody's error
    q, k = (torch.randn_like(x) for _ in range(2))
    ours = FusedSoftmax(DotProduct(q, k), scope).moments(x)
    exact = FusedSoftmax(DotProduct(q.double(), k.double()), scope).to_edges().moments(x.double())
    return ours, exact


@pytest.mark.parametrize("scope", [CausalScope, FullScope])
@pytest.mark.parametrize(("offset", "outlier"), [(0.0, 0.0), (10.0, 0.0), (0.0, 30.0)])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_moments_are_as_accurate_as_the_precision_allows(scope, offset, outlier, dtype):
    ours, exact = moments(scope, offset, outlier, dtype)
    for found, expected in zip(ours, exact, strict=True):
        assert found.dtype == dtype
        # Rounded once, at the end; besides, what float32 leaves of the difference.
        rounding = torch.finfo(dtype).eps
        left_over = 1e-5 * (1 + offset + outlier) ** 2
        torch.testing.assert_close(found.double(), expected, rtol=rounding, atol=left_over)


def test_the_same_sums_in_half_precision_would_not_do():
    x, scope, _ = layer_inputs([40], CausalScope, width=32)
    x = (x.view(-1, 2, 16) + 10).bfloat16()
    graph = FusedSoftmax(DotProduct(torch.randn_like(x), torch.randn_like(x)), scope)
    difference = graph.sum(x * x) - graph.sum(x) ** 2
    variance = graph.moments(x)[1]
    assert (difference - variance).abs().max() > 0.2 * variance.mean()


@pytest.mark.parametrize("scope", [CausalScope, FullScope])
def test_autocast_leaves_them_in_float32(scope):
    x, scope, _ = layer_inputs([40, 7], scope, width=32)
    x = x.view(-1, 2, 16) + 10
    graph = FusedSoftmax(DotProduct(torch.randn_like(x), torch.randn_like(x)), scope)
    expected = graph.moments(x)
    with torch.autocast("cpu", torch.bfloat16):
        found = graph.moments(x)
    for left, right in zip(found, expected, strict=True):
        assert torch.equal(left, right)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_so_do_edges(dtype):
    x = (torch.randn(40, 2, 16) + 10).to(dtype)
    edges = EdgeAdjacency(torch.randint(40, (2, 400)), torch.rand(400, 2).to(dtype), num_nodes=40)
    exact = EdgeAdjacency(edges.edge_index, edges.edge_weight.double(), num_nodes=40)
    for found, expected in zip(edges.moments(x), exact.moments(x.double()), strict=True):
        assert found.dtype == dtype
        rounding = torch.finfo(dtype).eps
        torch.testing.assert_close(found.double(), expected, rtol=rounding, atol=2e-3)


# Graphs of 5, 0, 1 and 6 nodes; nodes without a neighbour under the given scope and top-k.
PTR = torch.tensor([0, 5, 5, 6, 12])
BONDS = InputGraph(torch.tensor([[0, 1, 7, 8], [1, 2, 6, 9]]))
GRAPHS = {
    "fused": lambda: {"normalize": Softmax()},
    "relu": lambda: {"normalize": ReLU()},
    "differential": lambda: {"normalize": Differential(head_norm=HeadNorm(2))},
    "top_k": lambda: {"normalize": Softmax(), "sparsify": sparsify.TopK(2)},
    "scaled": lambda: {
        "normalize": Softmax(),
        "sparsify": sparsify.ScaledTopK(0.3, weighting="renormalize"),
    },
    "none_kept": lambda: {"normalize": ReLU(), "sparsify": sparsify.Threshold(1e4)},
    "silu": lambda: {"normalize": Softmax(), "sparsify": sparsify.SiLU(train_threshold=True)},
    "added": lambda: {"normalize": Softmax(), "given": AddInputGraph(2)},
}
SCOPES = {
    "causal": CausalScope,
    "full": FullScope,
    "window": lambda ptr, given: WindowScope(ptr, window=1, given=given),
    "given": lambda ptr, given: NeighborScope(ptr, given=given, self_loops=False),
}
LAYERS = {
    "gin": GINAttention,
    "pna": lambda *args, **kwargs: PNAAttention(
        *args, aggregators=["sum", "mean", "max", "min", "var", "std"], **kwargs
    ),
    "softmax": SoftmaxAttention,
}


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_layers_are_finite_in_every_form(dtype, name, scope, layer):
    has_fused = name in ("fused", "added") and scope in ("causal", "full")
    for form in ["fused"] * has_fused + ["dense", "edges"]:
        for mixed in (False, True):
            parts = GRAPHS[name]()
            score = DotProductScore(16, 2, maps=parts["normalize"].maps)
            adjacency = AttentionAdjacency(score=score, form=form, **parts)
            module = LAYERS[layer](16, 2, adjacency=adjacency)
            x = torch.randn(12, 16)
            if not mixed:
                module, x = module.to(dtype), x.to(dtype)
            x.requires_grad_()
            with torch.autocast("cpu", dtype, enabled=mixed):
                out = module(x, SCOPES[scope](PTR, given=BONDS))
            assert mixed or out.dtype == dtype
            out.float().square().mean().backward()
            assert out.isfinite().all()
            for parameter in (x, *module.parameters()):
                assert parameter.grad is None or parameter.grad.isfinite().all()


@pytest.mark.parametrize("name", ["fused", "top_k"])
def test_forms_agree_in_half_precision_up_to_rounding(name):
    x, scope = torch.randn(12, 16).bfloat16(), CausalScope(PTR)
    parts = GRAPHS[name]()
    adjacency = AttentionAdjacency(score=DotProductScore(16, 2).bfloat16(), **parts)
    results = []
    for form in ("auto", "dense", "edges"):
        adjacency.form = form
        results.append(adjacency(x, scope).sum(x.view(12, 2, 8)))
    for other in results[1:]:
        torch.testing.assert_close(other, results[0], rtol=2**-6, atol=2**-6)
