"""Law 3: the published layers, where they are right, and their intended output elsewhere.

The vectors lie in tests/reference, or in the folder that GIA_REFERENCE_VECTORS names.
"""

import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from gia.adjacency import AttentionAdjacency, CausalScope, DotProductScore, Softmax
from gia.models import GINAttention, PNAAttention

FOLDER = Path(os.environ.get("GIA_REFERENCE_VECTORS") or Path(__file__).parent / "reference")
INDEX = json.loads((FOLDER / "index.json").read_text())
# Settings of the published configuration that this version has, and what ours are called.
SUPPORTED = {
    "use_sharpening",
    "attention_GIN_MLP_o_proj_at_end",
    "attention_GIN_MLP_GIN_softmax_temperature",
}
TOLERANCE = 1e-6  # the published softmax runs in float32


def unsupported(name: str) -> str | None:
    if not name.startswith(("gin_", "pna_")) or name.startswith("pna_token"):
        return "not built yet"
    other = set(INDEX[name]["config"]) - SUPPORTED
    return f"not built yet: {', '.join(sorted(other))}" if other else None


def build(name: str, vector: dict[str, torch.Tensor]) -> torch.nn.Module:
    """Our layer with the published parameters."""
    config, heads, width = (INDEX[name][key] for key in ("config", "heads", "hidden"))
    temperature = config.get("attention_GIN_MLP_GIN_softmax_temperature", 1.0)
    parameters = {
        key.removeprefix("param."): value
        for key, value in vector.items()
        if key.startswith("param.")
    }
    adjacency = AttentionAdjacency(
        score=DotProductScore(width, heads), normalize=Softmax(temperature=temperature)
    )
    ours = {
        "adjacency.score.q_proj.weight": parameters["q_proj.weight"],
        "adjacency.score.k_proj.weight": parameters["k_proj.weight"],
        "adjacency.normalize.sharpening": parameters.get(
            "sharpening_parameters.0", torch.tensor(1.0)
        ),
    }

    def stack(template: str) -> torch.Tensor:
        return torch.stack([parameters[template.format(head)] for head in range(heads)])

    if name.startswith("gin_"):
        first = stack("gin_layers.{}.mlp.0.weight")
        multiplier = first.size(1) * heads / width
        out_proj = config.get("attention_GIN_MLP_o_proj_at_end", False)
        layer = GINAttention(
            width, heads, adjacency=adjacency, multiplier=multiplier, out_proj=out_proj
        )
        ours |= {
            # The published eps multiplies x, PyG's is added to 1.
            "conv.eps": stack("gin_layers.{}.epsilon") - 1,
            "conv.nn.net.0.weight": first,
            "conv.nn.net.0.bias": stack("gin_layers.{}.mlp.0.bias").unsqueeze(1),
            "conv.nn.net.2.weight": stack("gin_layers.{}.normlayer.weight").unsqueeze(1),
            "conv.nn.net.4.weight": stack("gin_layers.{}.mlp.4.weight"),
            "conv.nn.net.4.bias": stack("gin_layers.{}.mlp.4.bias").unsqueeze(1),
        }
    else:
        first = stack("aggregator_mlps.{}.0.weight")
        layer = PNAAttention(
            width, heads, adjacency=adjacency, multiplier=first.size(1) * heads / width
        )
        ours |= {
            "value.weight": parameters["v_proj.weight"],
            "conv.nn.net.0.weight": first,
            "conv.nn.net.4.weight": stack("aggregator_mlps.{}.2.weight"),
            "conv.aggr_module.avg_deg_lin": layer.conv.aggr_module.avg_deg_lin,
            "conv.aggr_module.avg_deg_log": layer.conv.aggr_module.avg_deg_log,
        }
    if "o_proj.weight" in parameters:
        ours["out.weight"] = parameters["o_proj.weight"]
    layer.load_state_dict(ours)
    return layer


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("form", ["fused", "edges"])
@pytest.mark.parametrize("name", INDEX)
def test_published_layer(name, form):
    reason = unsupported(name)
    if reason:
        pytest.skip(f"{name}: {reason}")
    vector = load_file(FOLDER / f"{name}.safetensors")
    layer = build(name, vector)
    layer.adjacency.form = form
    batch, length, _ = vector["x"].shape
    scope = CausalScope(torch.arange(batch + 1) * length)
    rotary = torch.stack([vector["cos"], vector["sin"]]).view(2, length, 1, -1)
    rotary = rotary.repeat(1, batch, 1, 1)
    x = vector["x"].flatten(0, 1).requires_grad_()

    out = layer(x, scope, rotary)
    expected = vector["out"] if "out" in vector else vector["out_intended"]
    torch.testing.assert_close(out.view_as(expected), expected, rtol=0, atol=TOLERANCE)

    edges = layer.adjacency(x, scope, rotary).to_edges()
    graph, row, column = edges.edge_index[1] // length, *(edges.edge_index.flip(0) % length)
    heads = vector["adjacency"][graph, :, row, column]
    torch.testing.assert_close(edges.edge_weight, heads, rtol=0, atol=TOLERANCE)

    if "grad_x" in vector:
        out.pow(2).sum().backward()
        torch.testing.assert_close(
            x.grad.view_as(vector["grad_x"]), vector["grad_x"], rtol=0, atol=TOLERANCE
        )


def test_some_vectors_were_compared():
    assert [name for name in INDEX if unsupported(name) is None]
