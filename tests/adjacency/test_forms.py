"""Law 1: every form of an adjacency gives the values and gradients of its edges."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from laws import SCOPES, assert_same, layer_inputs, make_adjacency, outputs_and_gradients

from gia.adjacency import CausalScope, DotProduct, FusedSoftmax

OPERATIONS = ["sum", "max", "min"]


def both_forms(adjacency, inputs, operation):
    x, scope, angles = inputs
    results = []
    for form in ("fused", "edges"):
        adjacency.form = form

        def call(x):
            graph = adjacency(x, scope, angles)
            return getattr(graph, operation)(x.unflatten(-1, (2, -1)))

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


@given(
    lengths=st.lists(st.integers(0, 40), min_size=1, max_size=5),
    scope=st.sampled_from(SCOPES),
    operation=st.sampled_from(OPERATIONS),
    heads=st.sampled_from([1, 2, 4]),
    seed=st.integers(0, 2**16),
)
@settings(max_examples=40, deadline=None)
def test_operations_agree_on_any_batch(lengths, scope, operation, heads, seed):
    torch.manual_seed(seed)
    x, scope, angles = layer_inputs(lengths, scope, heads=heads)
    x, angles = x.double(), angles.double()
    adjacency = make_adjacency(16, heads).double()
    results = []
    for form in ("fused", "edges"):
        adjacency.form = form

        def call(x):
            graph = adjacency(x, scope, angles)
            return getattr(graph, operation)(x.unflatten(-1, (heads, -1)))

        results.append(outputs_and_gradients(adjacency, x, call))
    assert_same(*results, 1e-10)


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


@pytest.mark.parametrize("scale", [0.0, 1e4])
@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.usefixtures("float64")
def test_equal_and_extreme_scores(scope, scale):
    x, scope, _ = layer_inputs([9, 30], scope)
    scores = DotProduct(scale * torch.randn(39, 2, 8), torch.randn(39, 2, 8))
    fused = FusedSoftmax(scores, scope)
    edges = fused.to_edges()
    x = x.unflatten(-1, (2, -1))
    torch.testing.assert_close(fused.sum(x), edges.sum(x))
    assert fused.sum(x).isfinite().all()
    # The support is the scope, also where the weight underflows.
    assert edges.edge_index.size(1) == scope.edge_index().size(1)
    assert torch.equal(fused.max(x), edges.max(x))


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
            graph.sum(x.unflatten(-1, (2, -1)))
            graph.max(x.unflatten(-1, (2, -1)))
        largest.append(max(sizes))
    assert largest[1] < 4.5 * largest[0]
