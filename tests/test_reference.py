"""Law 3: the published layers, where they are right, and their intended output elsewhere.

Every layer is made by configuration alone.
"""

import pytest
import torch
from hydra.utils import instantiate
from reference_vectors import INDEX, TOLERANCE, load_vector
from runs import compose_config

from gia.attention import CausalScope

NAMES = [name for name in INDEX if name.startswith(("gin_", "pna_"))]
PREFIX = "attention_GIN_MLP_"
# The published names of the modes, and ours.
MODES = {
    "flowthreshold": "flow",
    "scaled_topk_causal_4d": "scaled_top_k",
    "sigmoid_elementwise": "sigmoid",
    "silu+binary": "silu_plus_binary",
}
BELOW_ABOVE = {f"{f}_below_binary_above" for f in ("relu", "silu", "softplus")}
WITH_THRESHOLD = {"relu", "silu", "softplus", "sharp_softplus", "sigmoid", "flow", "binary"}
WITH_THRESHOLD |= {"silu_plus_binary", "scaled_top_k"} | BELOW_ABOVE


def overrides(name: str) -> list[str]:
    """Our configuration of a published one."""
    entry, spec = dict(INDEX[name]["config"]), INDEX[name]
    chosen = [f"model.width={spec['hidden']}", f"model.heads={spec['heads']}", "model.dropout=0"]
    is_gin = name.startswith("gin_")
    chosen.append("attention=gin" if is_gin else "attention=pna")
    entry.pop("use_sharpening", None)
    if entry.pop(f"{PREFIX}o_proj_at_end", False):
        chosen.append("attention.out_proj=true")
    temperature = entry.pop(f"{PREFIX}GIN_softmax_temperature", None)
    if temperature is not None:
        chosen.append(f"normalize.temperature={temperature}")
    if entry.pop("use_differential_attention", False):
        chosen.append("normalize=differential")
    if entry.pop(f"{PREFIX}use_scoring_fnct", False):
        chosen += ["score=pair_network", "score.biases=[]"]
        hidden = entry.pop(f"{PREFIX}scoring_hidden_dim")
        chosen.append(f"score.score.hidden_channels={hidden}")
    if entry.pop(f"{PREFIX}GIN_use_ReLU_instead_of_softmax", False):
        assert entry.pop(f"{PREFIX}GIN_use_softmax") is False
        chosen.append("normalize=relu")
    mode = entry.pop(f"{PREFIX}GIN_threshold_mode", None)
    threshold = entry.pop(f"{PREFIX}GIN_threshold_value", None)
    fraction = entry.pop(f"{PREFIX}GIN_top_k_fraction_of_sequence_length", None)
    if name.startswith("pna_token"):
        chosen += ["attention=pna_token", f"attention.threshold={threshold}"]
    elif mode is not None:
        mode = MODES.get(mode, mode)
        chosen.append(f"sparsify={mode}")
        if mode in WITH_THRESHOLD:
            chosen.append(f"sparsify.threshold={threshold}")
        if mode in ("top_k", "scaled_top_k"):
            chosen += [
                f"sparsify.fraction={fraction}",
                "sparsify.weighting=binary",
                "sparsify.published=true",
            ]
        if mode == "top_k":
            chosen.append("sparsify.k=null")
    assert not entry, f"{name} has settings that are not understood: {entry}"
    return chosen


def published_parameters(name: str, vector: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The published parameters under our names."""
    heads = INDEX[name]["heads"]
    found = {
        key.removeprefix("param."): value
        for key, value in vector.items()
        if key.startswith("param.")
    }

    def stack(template: str) -> torch.Tensor:
        return torch.stack([found[template.format(head)] for head in range(heads)])

    if name == "gin_differential":
        score = {
            f"{part}_proj.weight": torch.cat(
                [found[f"{part}_proj.weight"], found[f"{part}_proj_2.weight"]]
            )
            for part in "qk"
        }
    elif name == "gin_scoring":
        score = {
            "score.hidden.weight": found["mlp_scoring.0.weight"],
            "score.hidden.bias": found["mlp_scoring.0.bias"],
            "score.out.weight": found["mlp_scoring.2.weight"],
            "score.out.bias": found["mlp_scoring.2.bias"],
        }
    else:
        score = {f"{part}_proj.weight": found[f"{part}_proj.weight"] for part in "qk"}
    ours = {f"adjacency.score.{key}": value for key, value in score.items()}
    if "sharpening_parameters.0" in found:
        ours["adjacency.normalize.sharpening"] = found["sharpening_parameters.0"]
    if "lambda_param.0" in found:
        ours["adjacency.normalize.balance"] = found["lambda_param.0"]
    if name.startswith("gin_"):
        ours |= {
            # The published eps multiplies x, PyG's is added to 1.
            "conv.eps": stack("gin_layers.{}.epsilon") - 1,
            "conv.nn.net.0.weight": stack("gin_layers.{}.mlp.0.weight"),
            "conv.nn.net.0.bias": stack("gin_layers.{}.mlp.0.bias").unsqueeze(1),
            "conv.nn.net.2.weight": stack("gin_layers.{}.normlayer.weight").unsqueeze(1),
            "conv.nn.net.4.weight": stack("gin_layers.{}.mlp.4.weight"),
            "conv.nn.net.4.bias": stack("gin_layers.{}.mlp.4.bias").unsqueeze(1),
        }
    else:
        ours |= {
            "value.weight": found["v_proj.weight"],
            "conv.nn.net.0.weight": stack("aggregator_mlps.{}.0.weight"),
            "conv.nn.net.4.weight": stack("aggregator_mlps.{}.2.weight"),
        }
    if "o_proj.weight" in found:
        ours["out.weight"] = found["o_proj.weight"]
    return ours


def build(name: str, vector: dict[str, torch.Tensor], *chosen: str) -> torch.nn.Module:
    """Our layer, configured, with the published parameters."""
    ours = published_parameters(name, vector)
    first = ours["conv.nn.net.0.weight"]
    multiplier = first.size(1) * INDEX[name]["heads"] / INDEX[name]["hidden"]
    cfg = compose_config(*overrides(name), f"attention.multiplier={multiplier}", *chosen)
    layer = instantiate(cfg.attention)
    missing, unexpected = layer.load_state_dict(ours, strict=False)
    assert not unexpected
    # What the published layer has not is as it starts: a sharpening of 1, fixed numbers.
    known = ("sharpening", "threshold", "avg_deg_lin", "avg_deg_log")
    assert all(key.endswith(known) for key in missing), missing
    return layer


def inputs(vector: dict[str, torch.Tensor]) -> tuple:
    """The nodes of all sequences, their scope and their angles."""
    batch, length, _ = vector["x"].shape
    scope = CausalScope(torch.arange(batch + 1) * length)
    rotary = torch.stack([vector["cos"], vector["sin"]]).view(2, length, 1, -1)
    return vector["x"].flatten(0, 1).requires_grad_(), scope, rotary.repeat(1, batch, 1, 1)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("form", ["auto", "dense", "edges"])
@pytest.mark.parametrize("name", NAMES)
def test_published_layer(name, form):
    vector = load_vector(name)
    layer = build(name, vector)
    if form == "edges" and layer.adjacency.published:
        pytest.skip("the published form looks at whole sequences: it has no edge form")
    layer.adjacency.form = form
    x, scope, rotary = inputs(vector)
    length = vector["x"].size(1)

    out = layer(x, scope, rotary)
    expected = vector["out"] if "out" in vector else vector["out_intended"]
    torch.testing.assert_close(out.view_as(expected), expected, rtol=0, atol=TOLERANCE)

    edges = layer.adjacency(x, scope, rotary).to_edges().joined()
    weights = torch.zeros_like(vector["adjacency"])
    graph, row, column = edges.edge_index[1] // length, *(edges.edge_index.flip(0) % length)
    weights[graph, :, row, column] = edges.edge_weight.detach()
    torch.testing.assert_close(weights, vector["adjacency"], rtol=0, atol=TOLERANCE)

    if "grad_x" in vector:
        out.pow(2).sum().backward()
        torch.testing.assert_close(
            x.grad.view_as(vector["grad_x"]), vector["grad_x"], rtol=0, atol=TOLERANCE
        )


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("form", ["auto", "dense", "edges"])
@pytest.mark.parametrize("name", [n for n in NAMES if n.startswith("pna_") and "token" not in n])
def test_own_is_what_the_published_code_takes_for_the_maximum(name, form):
    vector = load_vector(name)
    layer = build(name, vector, "attention.aggregators=[sum,mean,own,var]")
    layer.adjacency.form = form
    out = layer(*inputs(vector))
    expected, intended = vector["out_published"], vector["out_intended"]
    there = expected.isfinite()  # its maximum over no neighbours is not
    assert there.sum() > 0.5 * there.numel()
    torch.testing.assert_close(
        out.view_as(expected)[there], expected[there], rtol=0, atol=TOLERANCE
    )
    assert not torch.allclose(expected[there], intended[there])


def test_there_are_vectors():
    assert NAMES
