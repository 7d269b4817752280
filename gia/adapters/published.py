"""Adapters that were trained with the published code, under our names."""

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from gia.adapters.config import PUBLISHED, SparseGINConfig

# What a published setting is called here. A setting that is left out is that of the paper.
RENAMED = {
    "num_layers": "hops",
    "hidden_dim": "channels",
    "activation": "activation",
    "dropout": "dropout",
    "GIN_hidden_dim_multiplier": "multiplier",
    "continuous_transform_alpha": "alpha",
    "threshold": "threshold",
    "threshold_any_tau": "tau",
    "lambda_GNN": "final_scale",
}
TRANSLATED = {
    "adj_construction_method": {
        "combine": {"sum": "sum", "mean": "mean", "threshold_any": "any"},
    },
    "gnn_logic": {"position": {"before_MLP": "before_mlp", "after_MLP": "after_mlp"}},
    "remove_self_connections": {"self_loops": {True: False, False: True}},
    "use_layer_norm": {"norm": {True: "after", False: None}},
}
# Settings with one value that we can follow.
FIXED = {
    "gnn_type": "causal_gin",
    "gnn_mode": "single",
    "GIN_use_MLP": True,
    "GIN_use_norm": False,
    "GIN_edge_weight_scaling": True,
    "gnn_residual": False,
    "norm_to_hidden_states": False,
    "rms_norm_eps": 1e-5,
    "add_rope": False,
    "enforce_causality": True,
    "use_distance_scaling": False,
    "use_original_hidden_states": False,
    "use_original_hidden_states_add_attention": False,
    "per_head_ff": False,
    "use_GNN_from_attention": "none",
    "MLP_type": "standard_MLP",
}
# What the published code reads nowhere, or for pictures alone.
WITHOUT_EFFECT = {"combined_norm", "plot_for_debugging", "tokenizer"}

NAME = re.compile(
    r"(?:.*?\blayers\.(?P<layer>\d+)\.)?(?:.*\.)?"
    r"(?P<name>gnn\..+|gnn_norm\.\w+|trainable_scale)"
)


def from_published(
    state: Mapping[str, Tensor], config: Mapping[str, Any]
) -> tuple[SparseGINConfig, dict[str, Tensor]]:
    """Turn what was trained with the published code into our options and parameters.

    The options have ``edge_direction="published"``: in the published code only self loops survive,
    and the parameters were trained with nothing else.

    Args:
        state (dict): Parameters of one layer, ``gnn.convs.0.linear1.weight`` and so on, or of a
            whole model, where a prefix that holds ``layers.3.`` tells the layer; the model's own
            parameters are passed over.
        config (dict): The published settings; those that are left out are taken to be the paper's.

    Returns:
        The options, and the parameters of a :class:`~gia.adapters.SparseGIN`, of a whole model with
        the prefix ``layers.3.`` before their names.

    Raises:
        ValueError: If there is a setting or a parameter that is not known here, or one is missing.
    """
    layers: dict[int | None, dict[str, Tensor]] = {}
    unknown = []
    for key, value in state.items():
        found = NAME.fullmatch(key)
        if found is None:
            unknown.append(key)
            continue
        layer = None if found["layer"] is None else int(found["layer"])
        layers.setdefault(layer, {})[found["name"]] = value
    if not layers:
        raise ValueError("state holds no parameters of a Sparse-GIN, such as trainable_scale")
    if None in layers and (len(layers) > 1 or unknown):
        raise ValueError(
            f"{(unknown or list(layers[None]))[0]!r} is not a parameter of a Sparse-GIN in some "
            "layer: give the parameters of one layer, or names with layers.0. before them"
        )
    converted, options = {}, _options(config)
    for layer, parameters in layers.items():
        prefix = "" if layer is None else f"layers.{layer}."
        for name, value in _parameters(parameters, options, prefix).items():
            converted[prefix + name] = value
    if None not in layers:
        options["layers"] = sorted(layers)
    return SparseGINConfig.published(**options), converted


def _options(config: Mapping[str, Any]) -> dict[str, Any]:
    """Our options, from the published settings."""
    options: dict[str, Any] = {"eps": "published", "edge_direction": "published"}
    rest = dict(config)
    initial = rest.pop("lambda_GNN_initial", 0.0)
    cut = rest.pop("epsilon_threshold", PUBLISHED["cut"])
    options["cut"] = cut if rest.pop("zero_below_epsilon_threshold", True) else None
    for name, value in rest.items():
        if name in RENAMED:
            options[RENAMED[name]] = value
        elif name in TRANSLATED:
            ((ours, values),) = TRANSLATED[name].items()
            if value not in values:
                raise ValueError(
                    f"the published setting {name}={value!r} cannot be followed: it must be one "
                    f"of {', '.join(map(repr, values))}"
                )
            options[ours] = values[value]
        elif name in FIXED:
            if value != FIXED[name]:
                raise ValueError(
                    f"the published setting {name}={value!r} cannot be followed: only "
                    f"{FIXED[name]!r} can"
                )
        elif name not in WITHOUT_EFFECT:
            raise ValueError(
                f"the published setting {name}={value!r} is not known here: leave it out if it "
                "has no effect on Sparse-GIN"
            )
    options["alpha"] = options.get("alpha", PUBLISHED["alpha"]) or None
    options["activation"] = options.get("activation", PUBLISHED["activation"]).lower()
    final = options.get("final_scale", PUBLISHED["final_scale"])
    options["scale"] = final if initial is None else initial
    options["scale_schedule"] = "published"
    least, _ = SparseGINConfig.published(**{**options, "cut": None}).range_of_weights()
    if options["cut"] is not None and options["cut"] < least:  # it drops nothing
        options["cut"] = None
    return options


def _parameters(
    found: Mapping[str, Tensor], options: dict[str, Any], prefix: str
) -> dict[str, Tensor]:
    """The parameters of one layer under our names; fills in the channels where they are left out.

    ``found`` is left as it is.
    """
    found = dict(found)
    hops = options.setdefault("hops", PUBLISHED["hops"])
    names = {
        **{f"gnn.input_projection.{part}": f"in_proj.{part}" for part in ("weight", "bias")},
        **{f"gnn.output_projection.{part}": f"out_proj.{part}" for part in ("weight", "bias")},
        "trainable_scale": "scale",
    }
    if options.get("norm", PUBLISHED["norm"]) == "after":
        names["gnn_norm.weight"] = "norm.weight"
    if options["activation"] == "prelu":
        names["gnn.activation.weight"] = "activation.weight"
        for number in range(hops):  # the same tensor again, where names are not counted once
            copy = found.pop(f"gnn.convs.{number}.activation_fn.weight", None)
            if copy is not None and not torch.equal(copy, found["gnn.activation.weight"]):
                raise ValueError(f"{prefix}gnn has slopes of PReLU that differ: there is only one")
    for number in range(hops):
        names[f"gnn.convs.{number}.epsilon"] = f"hops.{number}.eps"
        for part in ("linear1.weight", "linear1.bias", "linear2.weight", "linear2.bias"):
            names[f"gnn.convs.{number}.{part}"] = f"hops.{number}.{part}"
    for what, keys in (
        ("are missing", names.keys() - found.keys()),
        ("are not known here", found.keys() - names.keys()),
    ):
        if keys:
            listed = ", ".join(prefix + key for key in sorted(keys))
            raise ValueError(f"with these settings, parameters {what}: {listed}")
    channels = found["gnn.input_projection.weight"].size(0)
    if options.setdefault("channels", channels) != channels:
        raise ValueError(
            f"hidden_dim is {options['channels']}, but {prefix}gnn.input_projection has {channels} "
            "channels"
        )
    ours = {names[key]: value.detach().clone() for key, value in found.items()}
    ours["scale"] = ours["scale"].reshape(())
    for number in range(hops):  # the published one multiplies u, ours is added to 1
        ours[f"hops.{number}.eps"] -= 1
    return ours
