"""A graph of few tokens is held as rows, and is the graph that a list of edges is."""

import pytest
import torch
from decoders import decoder

import gia.adapters as adapters
from gia.adapters import SparseGINConfig, attention_edges
from gia.adapters.dense_rows import DenseRows
from gia.graph import EdgeAdjacency

B, Q, K, LENGTH = 2, 3, 7, 10
IDS = torch.randint(2, 61, (B, LENGTH), generator=torch.Generator().manual_seed(1))
OPTIONS = {
    "default": {},
    "mean": {"combine": "mean", "cut": 0.35},
    "any": {"combine": "any", "alpha": None, "threshold": 0.2, "cut": 0.5},
    "learned": {"combine": "learned"},
    "per head": {"combine": "per_head", "cut": 0.5},
    "gcn": {"conv": "gcn"},
    "pna": {"conv": "pna"},
    "recombine": {"conv": "recombine"},
    "two hops": {"hops": 2},
    "normalized": {"normalize": True},
    "top k": {"top_k": 3},
    "all pairs": {"cut": None},
    "attention itself": {"alpha": None, "cut": 0.1},
    "no sinks": {"sinks": 2, "cut": 0.3},
    "sigmoid": {"distance": "sigmoid", "distance_strength": 0.3, "cut": 0.3},
    "exp": {"distance": "exp", "distance_strength": 0.1, "cut": 0.3},
    "power": {"distance": "power", "distance_strength": 0.3, "cut": 0.3},
    "no self loops": {"self_loops": False, "cut": 0.3},
    "published direction": {"edge_direction": "published"},
    "trained threshold": {"train_threshold": True},
    "after the MLP": {"position": "after_mlp"},
    "much at once": {
        "combine": "per_head",
        "conv": "gcn",
        "hops": 2,
        "normalize": True,
        "top_k": 2,
        "sinks": 1,
        "self_loops": False,
        "distance": "power",
        "position": "after_mlp",
    },
}
every_option = pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)


def random_rows(groups):
    weight = torch.rand(B, groups, Q, K, dtype=torch.float64)
    weight[torch.rand_like(weight) < 0.4] = 0
    weight[0, :, 1] = 0  # a token without an edge
    return DenseRows(weight)


@pytest.mark.parametrize("groups", [1, 4])
def test_rows_have_the_values_of_their_edges(groups):
    rows = random_rows(groups)
    edges = rows.to_edges()
    assert isinstance(edges, EdgeAdjacency)
    x = torch.randn(B * K, groups, 5, dtype=torch.float64)
    for name in ("sum", "squares", "argmax", "max", "min", "moments"):
        torch.testing.assert_close(getattr(rows, name)(x), getattr(edges, name)(x))
    torch.testing.assert_close(rows.degree(), edges.degree())
    torch.testing.assert_close(rows.count(), edges.count())
    assert rows.count()[1] == 0
    assert edges.edge_index.size(1) == rows.count().sum() > 10


@pytest.mark.parametrize("groups", [1, 4])
def test_rows_sum_in_the_precision_of_their_features(groups):
    rows, x = random_rows(groups), torch.randn(B * K, groups, 5).bfloat16()
    assert rows.sum(x).dtype == torch.bfloat16
    assert rows.in_precision(torch.float64).weight.dtype == torch.float64
    assert DenseRows(rows.weight.bfloat16()).in_precision(torch.float32).weight.dtype == (
        torch.float32
    )


def adapted(kind, options):
    """A decoder with an adapter that is not as new."""
    model = decoder(kind).double()
    adapters.add(model, SparseGINConfig.published(**{"channels": 4, "scale": 0.5} | options))
    for parameter in adapters.parameters(model):
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.4)
    return model


def forms(model):
    """The forms of graph that the layers of a model get, as they come."""
    seen = set()
    for part in model.model.layers:
        part.gia_adapters.adapters["default"].register_forward_pre_hook(
            lambda module, args: seen.add(type(args[1]))
        )
    return seen


@every_option
def test_a_model_says_the_same_with_rows_and_with_edges(options, monkeypatch):
    model = adapted("llama", options)
    mask = torch.ones_like(IDS)
    mask[0, :3] = 0
    inputs = {"input_ids": IDS, "attention_mask": mask}
    inputs["position_ids"] = (mask.cumsum(1) - 1).clamp(min=0)
    seen = forms(model)
    with torch.no_grad():
        rows = model(**inputs).logits
        as_rows = options.get("conv", "gin") in ("gin", "gcn")
        assert seen == {DenseRows if as_rows else EdgeAdjacency}
        seen.clear()
        monkeypatch.setattr(attention_edges, "FEW", 0)
        edges = model(**inputs).logits
    monkeypatch.undo()
    with_gradients = model(**inputs).logits
    assert seen == {EdgeAdjacency}
    assert with_gradients.requires_grad
    for other in (edges, with_gradients.detach()):
        torch.testing.assert_close(other[mask == 1], rows[mask == 1])
    with adapters.disabled(model), torch.no_grad():
        assert not torch.allclose(model(**inputs).logits, rows)


@every_option
@pytest.mark.parametrize("kind", ["llama", "mistral"])
def test_token_by_token_is_all_at_once(kind, options):
    model, cache, parts = adapted(kind, options), None, []
    whole = model(input_ids=IDS, use_cache=False).logits.detach()
    for place in range(LENGTH):
        with torch.no_grad():
            out = model(input_ids=IDS[:, place : place + 1], past_key_values=cache, use_cache=True)
        cache = out["past_key_values"]
        parts.append(out.logits)
    torch.testing.assert_close(torch.cat(parts, 1), whole)
