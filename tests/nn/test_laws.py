"""Laws 1, 4, 5 and 7 for every attention layer and for whole models."""

import pytest
import torch
from laws import (
    ATTENTIONS,
    SCOPES,
    SPARSE_ATTENTIONS,
    law_1_forms_agree,
    law_4_causality,
    law_5_batch_invariance,
    law_8_cached_equals_uncached,
    layer_inputs,
    make_attention,
    make_model,
    sequences,
)

EVERY = [*ATTENTIONS, *SPARSE_ATTENTIONS]


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("name", EVERY)
@pytest.mark.usefixtures("float64")
def test_law_1_forms_agree(name, scope):
    law_1_forms_agree(make_attention(name), layer_inputs([5, 1, 13, 7], scope), 1e-6)


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("name", [name for name in ATTENTIONS if name != "pna_all"])
def test_law_1_forms_agree_in_float32(name, scope):
    law_1_forms_agree(make_attention(name), layer_inputs([30, 2, 41], scope), 1e-4)


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.usefixtures("float64")
def test_law_4_causality(name):
    model = make_model(name).eval()
    (graph,) = sequences([9])
    law_4_causality(model, graph)


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.usefixtures("float64")
def test_law_5_batch_invariance(name):
    model = make_model(name).eval()
    law_5_batch_invariance(model, sequences([6, 1, 13, 6]), 1e-12)


@pytest.mark.parametrize("name", ATTENTIONS)
def test_law_5_batch_invariance_in_float32(name):
    model = make_model(name).eval()
    law_5_batch_invariance(model, sequences([6, 1, 53, 6]), 1e-4)


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("name", EVERY)
@pytest.mark.usefixtures("float64")
def test_law_5_batch_invariance_of_a_layer(name, scope):
    layer = make_attention(name)
    x, whole, angles = layer_inputs([4, 9, 2], scope)
    together = layer(x, whole, angles)
    for start, stop in ((0, 4), (4, 13), (13, 15)):
        alone = layer(x[start:stop], scope(torch.tensor([0, stop - start])), angles[:, start:stop])
        torch.testing.assert_close(together[start:stop], alone)


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("name", ATTENTIONS)
@pytest.mark.usefixtures("float64")
def test_law_7_every_edge_counts(name, scope):
    layer = make_attention(name, form="edges")
    x, scope, angles = layer_inputs([5, 3], scope)
    graph = layer.graph(x, scope, angles).to_edges()
    graph.edge_weight = graph.edge_weight.detach().requires_grad_()
    out = layer.propagate(x, graph, scope)
    for edge, (_, target) in enumerate(graph.edge_index.T.tolist()):
        (gradient,) = torch.autograd.grad(
            out[target].square().sum(), graph.edge_weight, retain_graph=True
        )
        assert (gradient[edge] != 0).all(), f"edge {edge} has no effect on its target"
        others = graph.edge_index[1] != target
        assert not gradient[others].any(), "an edge has an effect on another node"


@pytest.mark.parametrize("name", ATTENTIONS)
@pytest.mark.usefixtures("float64")
def test_law_8_cached_equals_uncached(name):
    model = make_model(name).eval()
    law_8_cached_equals_uncached(model, [3, 1, 7, 6], [1, 1, 3, 1, 2], 1e-12)
    law_8_cached_equals_uncached(model, [4, 4], [1, 1, 2, 1], 1e-12)
    law_8_cached_equals_uncached(model, [1], [1] * 5, 1e-12)


@pytest.mark.parametrize("name", ATTENTIONS)
def test_law_8_cached_equals_uncached_in_float32(name):
    law_8_cached_equals_uncached(make_model(name).eval(), [30, 2, 53], [1] * 8, 1e-4)


@pytest.mark.parametrize("name", ATTENTIONS)
def test_every_parameter_is_trained(name):
    model = make_model(name)
    (graph,) = sequences([12])
    torch.nn.functional.cross_entropy(model(graph), graph.y).backward()
    idle = [key for key, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert not idle
