"""From a configuration to the parts of a run."""

from importlib import resources
from typing import Any

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf, open_dict
from torch import nn

from gia.nn import count_parameters, match_width

# Keys of a model's configuration that say something about it and are no argument of it.
NOT_BUILT = ("attention_defaults", "compile", "match_parameters_of", "num_parameters")
SIZES = ("width", "heads", "depth")  # which debug=fast sets, and a pretrained model has


def with_inputs(cfg: DictConfig, inputs: dict[str, Any]) -> DictConfig:
    """A copy of the configuration in which ``${inputs.KEY}`` is what the data says.

    ``${inputs.out_channels}`` is what the model gives: as many numbers for each target as the loss
    takes.

    Args:
        cfg (DictConfig): The whole configuration.
        inputs (dict): Of the datamodule's ``inputs()``.

    Raises:
        ValueError: If a loss is chosen for a task that has its own.
    """
    cfg, channels = cfg.copy(), 1
    if cfg.get("loss"):
        if "loss" not in cfg.task:
            raise ValueError(
                f"loss is {cfg.loss._target_}, but {cfg.task._target_} has a loss of its own: "
                "leave loss out"
            )
        channels = getattr(instantiate(cfg.loss), "channels", 1)
    with open_dict(cfg):
        cfg.inputs = inputs | {"out_channels": inputs["out_channels"] * channels}
    return cfg


def plain_model(cfg: DictConfig) -> dict[str, Any]:
    """The model's configuration in plain values, with what other groups fill into it.

    Left out is what a model does not take: ``model.compile`` says how it is run,
    ``model.attention_defaults`` where ``conf/attention`` starts from, and two keys how large it is.
    """
    model = OmegaConf.to_container(cfg.model, resolve=True)
    left_out = NOT_BUILT + (SIZES if "base" in model else ())
    return {key: value for key, value in model.items() if key not in left_out}


def resolve_model(cfg: DictConfig, inputs: dict[str, Any]) -> dict[str, Any]:
    """The model's configuration with all that the run and its data decide filled in.

    Two settings choose the hidden width of the blocks' MLP, ``mlp.hidden``, so that models of one
    size are compared: ``model.num_parameters`` says how many parameters the model is to have, and
    ``model.match_parameters_of`` names an attention, as in ``conf/attention``: as many as the same
    model with that attention at the configured width.

    Args:
        cfg (DictConfig): The whole configuration; ``cfg.model`` is read.
        inputs (dict): What the model must know of the data: the datamodule's ``inputs()``.

    Returns:
        Plain values that :func:`hydra.utils.instantiate` turns into the model.

    Raises:
        ValueError: If the reference is unknown, the MLP has no width, or none matches.
    """
    cfg = with_inputs(cfg, inputs)
    reference, target = cfg.model.get("match_parameters_of"), cfg.model.get("num_parameters")
    if reference is None and target is None:
        return plain_model(cfg)
    if "hidden" not in (cfg.get("mlp") or {}):
        option = "match_parameters_of" if target is None else "num_parameters"
        raise ValueError(
            f"model.{option} chooses the MLP's hidden width, but this MLP has none: "
            "use mlp=swiglu or mlp=shallow"
        )
    if target is None:
        target = count_parameters(instantiate(plain_model(_with_attention(cfg, reference))))

    def build(hidden: int) -> nn.Module:
        cfg.mlp.hidden = hidden
        return instantiate(plain_model(cfg))

    cfg.mlp.hidden = match_width(build, target)
    return plain_model(cfg)


def _with_attention(cfg: DictConfig, name: str) -> DictConfig:
    """The same configuration with another attention from ``conf/attention``, over the same graph.

    Raises:
        ValueError: If there is no such attention.
    """
    folder = resources.files("gia.conf") / "attention"
    known = sorted(file.name.removesuffix(".yaml") for file in folder.iterdir())
    if name not in known:
        raise ValueError(
            f"model.match_parameters_of must be one of {', '.join(known)} or null, got {name!r}"
        )
    cfg = cfg.copy()
    with open_dict(cfg):
        cfg.attention = OmegaConf.create((folder / f"{name}.yaml").read_text())
    return cfg
