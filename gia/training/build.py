"""From a configuration to the parts of a run."""

from importlib import resources
from typing import Any

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf, open_dict
from torch import nn

from gia.nn import count_parameters, match_width


def with_inputs(cfg: DictConfig, inputs: dict[str, Any]) -> DictConfig:
    """A copy of the configuration in which ``${inputs.KEY}`` is what the data says.

    Args:
        cfg (DictConfig): The whole configuration.
        inputs (dict): Of the datamodule's ``inputs()``.
    """
    cfg = cfg.copy()
    with open_dict(cfg):
        cfg.inputs = inputs
    return cfg


def resolve_model(cfg: DictConfig, inputs: dict[str, Any]) -> dict[str, Any]:
    """The model's configuration with all that the run and its data decide filled in.

    Two settings choose the hidden width of the block's MLP, so that models of one size are
    compared: ``model.num_parameters`` says how many parameters the model is to have, and
    ``model.match_parameters_of`` names an attention, as in ``conf/attention``: as many as the same
    model with that attention at the configured width.

    ``model.compile`` says how the model is run and not what it is: it is left out.

    Args:
        cfg (DictConfig): The whole configuration; ``cfg.model`` is read.
        inputs (dict): What the model must know of the data: the datamodule's ``inputs()``.

    Returns:
        Plain values that :func:`hydra.utils.instantiate` turns into the model.

    Raises:
        ValueError: If the reference is unknown, the MLP has no width, or none matches.
    """
    cfg = with_inputs(cfg, inputs)
    model = OmegaConf.to_container(cfg.model, resolve=True)
    reference = model.pop("match_parameters_of", None)
    target = model.pop("num_parameters", None)
    model.pop("compile", None)
    if reference is None and target is None:
        return model
    mlp = model["block"]["mlp"]
    if mlp is None or "hidden" not in mlp:
        option = "match_parameters_of" if target is None else "num_parameters"
        raise ValueError(
            f"model.{option} chooses the MLP's hidden width, but this MLP has none: "
            "use mlp=swiglu or mlp=shallow"
        )
    if target is None:
        target = count_parameters(instantiate(_with_attention(cfg, model, reference)))

    def build(hidden: int) -> nn.Module:
        mlp["hidden"] = hidden
        return instantiate(model)

    mlp["hidden"] = match_width(build, target)
    return model


def _with_attention(cfg: DictConfig, model: dict[str, Any], name: str) -> dict[str, Any]:
    """The same model with another attention from ``conf/attention``, over the same adjacency."""
    folder = resources.files("gia.conf") / "attention"
    known = sorted(file.name.removesuffix(".yaml") for file in folder.iterdir())
    if name not in known:
        raise ValueError(
            f"model.match_parameters_of must be one of {', '.join(known)} or null, got {name!r}"
        )
    other = OmegaConf.create((folder / f"{name}.yaml").read_text())
    root = OmegaConf.create({"model": cfg.model, "attention": other})
    attention = OmegaConf.to_container(root.attention, resolve=True)
    attention["adjacency"] = model["block"]["attention"]["adjacency"]
    return {**model, "block": {**model["block"], "attention": attention}}
