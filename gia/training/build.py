"""From a configuration to the parts of a run."""

from importlib import resources
from typing import Any

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from gia.models import LanguageModel, count_parameters, match_width


def resolve_model(cfg: DictConfig, vocab_size: int) -> dict[str, Any]:
    """The model's configuration with all that the run decides filled in.

    ``model.match_parameters_of`` names an attention, as in ``conf/attention``: the MLP width is
    then chosen so that the model has as many parameters as the same model with that attention at
    the configured width.

    ``model.compile`` says how the model is run and not what it is: it is left out.

    Args:
        cfg (DictConfig): The whole configuration; ``cfg.model`` is read.
        vocab_size (int): Symbols V of the data.

    Returns:
        Plain values that :func:`hydra.utils.instantiate` turns into the model.

    Raises:
        ValueError: If the reference is unknown, the MLP has no width, or none matches.
    """
    model = OmegaConf.to_container(cfg.model, resolve=True)
    reference = model.pop("match_parameters_of")
    model.pop("compile")
    model["vocab_size"] = vocab_size
    if reference is None:
        return model
    mlp = model["block"]["mlp"]
    if mlp is None or "hidden" not in mlp:
        raise ValueError(
            "model.match_parameters_of chooses the MLP's hidden width, but this MLP has none: "
            "use mlp=swiglu or mlp=shallow"
        )
    target = count_parameters(instantiate(_with_attention(cfg, model, reference)))

    def build(hidden: int) -> LanguageModel:
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
