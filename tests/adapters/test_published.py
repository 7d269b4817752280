"""Law 3 for adapters: trained with the published code, the same numbers here."""

from dataclasses import replace

import pytest
import torch
from attention_maps import Maps
from reference_vectors import INDEX, TOLERANCE, load_vector

from gia.adapters import SparseGIN, from_published

NAMES = [name for name in INDEX if name.startswith("sparse_gin_")]

pytestmark = pytest.mark.usefixtures("float64")


def parameters(vector):
    named = {key: value for key, value in vector.items() if key.startswith("param.")}
    return {key.removeprefix("param."): value for key, value in named.items()}


def build(name, direction):
    vector, spec = load_vector(name), INDEX[name]
    config, state = from_published(parameters(vector), spec["config"])
    assert config.edge_direction == "published"
    layer = SparseGIN(
        replace(config, edge_direction=direction),
        width=spec["hidden"],
        heads=spec["heads"],
        layer=spec["layer"],
        num_layers=spec["num_layers"],
    )
    start = layer.scale.item()
    layer.load_state_dict(state)
    assert layer.scale.item() == pytest.approx(start)  # the vectors are of new layers
    return layer, vector


def maps_of(vector):
    attention = vector["attention"]
    batch, _, length, _ = attention.shape
    position = torch.arange(length).expand(batch, length)
    distance = position.unsqueeze(2) - position.unsqueeze(1)
    return Maps(attention, (distance >= 0).unsqueeze(1), distance, position)


@pytest.mark.parametrize("direction", ["causal", "published"])
@pytest.mark.parametrize("name", NAMES)
def test_published_layer(name, direction):
    layer, vector = build(name, direction)
    edges = maps_of(vector).edges(layer.weights)
    expected = vector["out_intended" if direction == "causal" else "out_published"]
    found = vector["hidden"] + layer(vector["hidden"], edges)
    torch.testing.assert_close(found, expected, rtol=0, atol=TOLERANCE)

    length = expected.size(1)
    adjacency = torch.zeros_like(vector["adjacency"])
    source, target = edges.edge_index
    place = target // length, target % length, source % length
    adjacency[place] = edges.edge_weight.detach()
    wanted = vector["adjacency"]
    if direction == "published":  # of which self loops alone survive
        wanted = torch.diag_embed(wanted.diagonal(dim1=1, dim2=2))
    torch.testing.assert_close(adjacency, wanted, rtol=0, atol=TOLERANCE)


def test_there_are_vectors():
    assert NAMES


def test_the_two_directions_differ():
    vector = load_vector("sparse_gin_sum")
    assert not torch.allclose(vector["out_intended"], vector["out_published"])


SETTINGS = INDEX["sparse_gin_sum"]["config"]


def example():
    return parameters(load_vector("sparse_gin_sum"))


def test_a_whole_model():
    one = example()
    state = {
        f"base_model.model.layers.{layer}.{key}": value + layer
        for layer in (0, 2, 10)
        for key, value in one.items()
    }
    state["base_model.model.layers.0.self_attn.q_proj.weight"] = torch.zeros(1)
    state["base_model.embed_tokens.weight"] = torch.zeros(1)
    config, found = from_published(state, SETTINGS)
    _, expected = from_published(one, SETTINGS)
    assert config.layers == (0, 2, 10)
    assert found.keys() == {f"layers.{layer}.{key}" for layer in (0, 2, 10) for key in expected}
    for key, value in found.items():
        _, layer, name = key.split(".", 2)
        torch.testing.assert_close(value, expected[name] + int(layer))


def test_settings_are_translated():
    settings = {
        **SETTINGS,
        "gnn_logic": "after_MLP",
        "remove_self_connections": True,
        "zero_below_epsilon_threshold": False,
        "lambda_GNN_initial": None,
        "dropout": 0.2,
        "plot_for_debugging": True,
    }
    config, _ = from_published(example(), settings)
    assert (config.position, config.self_loops, config.cut) == ("after_mlp", False, None)
    assert (config.scale, config.final_scale, config.scale_schedule) == (0.5, 0.5, "published")
    assert (config.dropout, config.channels, config.eps) == (0.2, 8, "published")


def test_what_is_left_out_is_the_papers():
    config, _ = from_published(example(), {})
    assert (config.combine, config.alpha, config.threshold, config.cut) == ("sum", 10, 0.1, 0.6)
    assert (config.channels, config.hops, config.scale, config.final_scale) == (8, 1, 0, 0.5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gnn_type": "causal_pna"}, "gnn_type='causal_pna' cannot be followed: only 'causal_gin'"),
        ({"gnn_residual": True}, "gnn_residual=True cannot be followed"),
        ({"adj_construction_method": "learnable_aggregate"}, "one of 'sum', 'mean'"),
        ({"gnn_logic": "parallel_GNN_MLP"}, "gnn_logic='parallel_GNN_MLP' cannot be followed"),
        ({"per_head_ff": True}, "per_head_ff=True cannot be followed: only False can"),
        ({"zebra": 1}, "zebra=1 is not known here"),
        ({"hidden_dim": 9}, "hidden_dim is 9, but gnn.input_projection has 8 channels"),
        ({"num_layers": 2}, "missing: gnn.convs.1.epsilon, gnn.convs.1.linear1.bias"),
        ({"activation": "relu"}, "not known here: gnn.activation.weight"),
        ({"activation": "tanh"}, "activation must be one of 'prelu'"),
    ],
)
def test_unknown_settings_are_refused_by_name(changes, message):
    with pytest.raises(ValueError, match=message):
        from_published(example(), {**SETTINGS, **changes})


def test_unknown_parameters_are_refused_by_name():
    one = example()
    with pytest.raises(ValueError, match="'other' is not a parameter of a Sparse-GIN"):
        from_published({**one, "other": torch.zeros(1)}, SETTINGS)
    with pytest.raises(ValueError, match=r"are not known here: gnn\.more"):
        from_published({**one, "gnn.more": torch.zeros(1)}, SETTINGS)
    with pytest.raises(ValueError, match="give the parameters of one layer"):
        from_published({**one, "layers.0.trainable_scale": torch.zeros(1)}, SETTINGS)
    with pytest.raises(ValueError, match="no parameters of a Sparse-GIN"):
        from_published({}, SETTINGS)


def test_the_one_slope_may_be_counted_twice():
    one = example()
    slope = one["gnn.activation.weight"]
    _, found = from_published({**one, "gnn.convs.0.activation_fn.weight": slope}, SETTINGS)
    assert torch.equal(found["activation.weight"], slope)
    with pytest.raises(ValueError, match="slopes of PReLU that differ"):
        from_published({**one, "gnn.convs.0.activation_fn.weight": slope + 1}, SETTINGS)


def test_a_published_cut_below_all_weights_keeps_all_pairs():
    state = parameters(load_vector("sparse_gin_any"))
    config, _ = from_published(state, {"adj_construction_method": "threshold_any"})
    assert (config.combine, config.alpha, config.cut) == ("any", 10, None)
