"""Law 1: every form of an adjacency gives the values and gradients of its edges."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from laws import SCOPES, assert_same, layer_inputs, make_adjacency, outputs_and_gradients

from gia.attention import CausalScope, DotProduct, FusedSoftmax

OPERATIONS = ["sum", "max", "min", "moments"]


def apply(graph, operation, x):
    """One operation of a graph; of the moments, which are two tensors, their concatenation."""
    out = getattr(graph, operation)(x)
    return torch.cat(out, dim=-1) if isinstance(out, tuple) else out


def both_forms(adjacency, inputs, operation, heads=2):
    x, scope, angles = inputs
    results = []
    for form in ("fused", "edges"):
        adjacency.form = form

        def call(x):
            return apply(adjacency(x, scope, angles), operation, x.unflatten(-1, (heads, -1)))

        results.append(outputs_and_gradients(adjacency, x, call))
    return results


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.usefixtures("float64")
def test_operations_agree(scope, operation):
    inputs = layer_inputs([5, 1, 13, 7], scope)
    assert_same(*both_forms(make_adjacency(16, 2), inputs, operation), 1e-10)


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_operations_agree_in_float32(scope, operation):
    inputs = layer_inputs([40, 3, 64], scope)
    assert_same(*both_forms(make_adjacency(16, 2), inputs, operation), 2e-5)


ANY_BATCH = {
    # Mostly small graphs, so that empty ones, single nodes and many buckets are met; some large.
    "lengths": st.lists(st.integers(0, 40) | st.integers(1, 300), min_size=1, max_size=5),
    "scope": st.sampled_from(SCOPES),
    "operation": st.sampled_from(OPERATIONS),
    "heads": st.sampled_from([1, 2, 4]),
    "seed": st.integers(0, 2**16),
}


@given(**ANY_BATCH)
@settings(max_examples=60, deadline=None)
def test_operations_agree_on_any_batch(lengths, scope, operation, heads, seed):
    torch.manual_seed(seed)
    x, scope, angles = layer_inputs(lengths, scope, heads=heads)
    inputs = x.double(), scope, angles.double()
    adjacency = make_adjacency(16, heads).double()
    assert_same(*both_forms(adjacency, inputs, operation, heads), 1e-10)


@given(**ANY_BATCH)
@settings(max_examples=40, deadline=None)
def test_operations_agree_on_any_batch_in_float32(lengths, scope, operation, heads, seed):
    torch.manual_seed(seed)
    inputs = layer_inputs(lengths, scope, heads=heads)
    adjacency = make_adjacency(16, heads)
    left, right = both_forms(adjacency, inputs, operation, heads)
    # A sum of one term for each pair: its rounding grows with what is summed.
    assert_same(left, right, 1e-4)


# The gradients of the scores cancel to 0: in float32 they are what is left of sums over all nodes.
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 3e-2)])
@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_operations_agree_on_repeated_tokens(operation, scope, dtype, tolerance):
    """All scores of a graph are equal, all its features tie."""
    x, scope, _ = layer_inputs([9, 1, 0, 30, 280], scope)
    x = x.new_ones(x.size(0), 1) * x[0]
    adjacency = make_adjacency(16, 2).to(dtype)
    left, right = both_forms(adjacency, (x.to(dtype), scope, None), operation)
    assert_same(left, right, tolerance)


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.usefixtures("float64")
def test_ties_send_the_gradient_to_the_highest_index(scope):
    _, scope, _ = layer_inputs([6, 4], scope)
    scores = DotProduct(torch.randn(10, 2, 4), torch.randn(10, 2, 4))
    fused = FusedSoftmax(scores, scope)
    x = torch.randint(0, 2, (10, 2, 8)).double()  # almost all ties
    for operation, sign in (("max", 1), ("min", -1)):
        results = [
            outputs_and_gradients(torch.nn.Identity(), x, getattr(graph, operation))
            for graph in (fused, fused.to_edges())
        ]
        assert_same(*results, 1e-14)  # sums in another order
        # The definition itself: for each target and channel, the last of the largest.
        expected = torch.zeros_like(x)
        out = results[0]["output"]
        weights = torch.linspace(0.5, 1.5, out.numel()).view_as(out)
        source, target = scope.edge_index()
        for node in range(10):
            neighbours = source[target == node]
            for head in range(2):
                for channel in range(8):
                    values = sign * x[neighbours, head, channel]
                    winner = neighbours[(values == values.max()).nonzero().max()]
                    grad = 2 * out[node, head, channel] * weights[node, head, channel]
                    expected[winner, head, channel] += grad
        torch.testing.assert_close(results[0]["x"], expected)


@pytest.mark.parametrize("scope", SCOPES)
def test_degree_and_count(scope):
    _, scope, _ = layer_inputs([5, 1, 8], scope)
    fused = FusedSoftmax(DotProduct(torch.randn(14, 2, 4), torch.randn(14, 2, 4)), scope)
    edges = fused.to_edges()
    torch.testing.assert_close(fused.degree().expand(14, 2), edges.degree())
    assert torch.equal(fused.count(), edges.count())


# In float32 a score of 1e4 is off by 1e-3 in either form, and a weight by as much.
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-8), (torch.float32, 1e-2)])
@pytest.mark.parametrize("scale", [0.0, 1e4])
@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("scope", SCOPES)
def test_equal_and_extreme_scores(scope, operation, scale, dtype, tolerance):
    x, scope, _ = layer_inputs([9, 30, 1, 150], scope)
    x = x.unflatten(-1, (2, -1)).to(dtype)
    q = torch.randn_like(x)
    q = scale * q / (q * q).sum(-1, keepdim=True).sqrt()  # scores of up to about `scale`
    scores = DotProduct(q, torch.randn_like(x))
    fused = FusedSoftmax(scores, scope)
    edges = fused.to_edges()
    if scale:
        assert scores.on(scope.pairs(2)).abs().max() > 0.5 * scale
        assert (edges.edge_weight == 0).any()  # the support is the scope all the same
    results = [
        outputs_and_gradients(
            torch.nn.Identity(), x, lambda x, graph=graph: apply(graph, operation, x)
        )
        for graph in (fused, edges)
    ]
    assert results[0]["output"].isfinite().all()
    assert_same(*results, tolerance)
    assert edges.edge_index.size(1) == scope.edge_index().size(1)


@pytest.mark.parametrize("scope", SCOPES)
def test_nan_reaches_the_same_nodes_in_every_form(scope):
    _, scope, _ = layer_inputs([6, 2], scope)
    x = torch.randn(8, 1, 1)
    x[2] = torch.nan
    fused = FusedSoftmax(DotProduct(torch.randn(8, 1, 4), torch.randn(8, 1, 4)), scope)
    for operation in ("max", "min"):
        left, right = getattr(fused, operation)(x), getattr(fused.to_edges(), operation)(x)
        assert left.isnan().any()
        torch.testing.assert_close(left, right, equal_nan=True)


def test_memory_of_the_fused_form_is_linear():
    """No tensor of L x L numbers: the largest that autograd keeps grows with L, not with L^2."""
    largest = []
    for length in (128, 512):
        inputs = layer_inputs([length, length - 3], CausalScope)
        x, scope, angles = inputs
        sizes = []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda t, sizes=sizes: sizes.append(t.numel()) or t, lambda t: t
        ):
            graph = make_adjacency(16, 2)(x.requires_grad_(), scope, angles)
            for operation in OPERATIONS:
                apply(graph, operation, x.unflatten(-1, (2, -1)))
        largest.append(max(sizes))
    assert largest[1] < 4.5 * largest[0]
