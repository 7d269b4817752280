"""One checkpoint of several models."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from gia.training.blend import ENSEMBLE
from gia.training.blend_weights import equal_shares
from gia.training.checkpoint import AtomicCheckpointIO, read_checkpoint

ALIKE = ("model", "task", "loss", "inputs")  # settings in which members must agree


def join(paths: Sequence[str | Path], out: str | Path, **settings: Any) -> None:
    """Make one checkpoint of several: an ensemble that is loaded as each of them is.

    Args:
        paths (list of Path): Checkpoints of models of one architecture, targets and scaling, such
            as of runs with different seeds.
        out (Path): The checkpoint to write.
        **settings: Of the configuration of the first, which the ensemble has, those that are others
            for the ensemble, such as ``data`` and ``split_fingerprint``.

    Raises:
        FileNotFoundError, ValueError: If there are none, one cannot be read, or they disagree.
    """
    if not paths:
        raise ValueError("an ensemble needs at least one checkpoint")
    read = [read_checkpoint(path) for path in paths]
    of_members = [one["hyper_parameters"]["settings"] for one in read]
    if "data" not in settings and of_members[0].get("data", {}).get("inner_fold") is not None:
        raise ValueError(
            f"{paths[0]} is a member by folds, whose validation part the others have learned from: "
            "their own run joins them, gia train ensemble_by=folds ckpt_path=..."
        )
    for path, other in zip(paths, of_members, strict=True):
        check_alike(of_members[0], other, path)
    members = [member for one in read for member in _members(one)]
    model = {"_target_": ENSEMBLE, "models": [config for config, _ in members]}
    counts = [count for settings in of_members for count in _counts(settings["model"])]
    if len({*counts}) > 1:
        model["counts"] = counts
    weights = {key: value for key, value in read[0]["state_dict"].items() if key[:6] != "model."}
    for k, (_, own) in enumerate(members):
        weights |= {f"model.members.{k}.{key}": value for key, value in own.items()}
    known = read[0]["hyper_parameters"]
    joined = {
        "hyper_parameters": known | {"settings": of_members[0] | settings | {"model": model}},
        "state_dict": weights,
        "pytorch-lightning_version": pl.__version__,
        "global_step": read[0]["global_step"],
        "epoch": read[0]["epoch"],
    }
    AtomicCheckpointIO().save_checkpoint(joined, out)


def _members(checkpoint: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Configuration and weights of a model, or of each one of which it is an ensemble."""
    model, state = checkpoint["hyper_parameters"]["settings"]["model"], checkpoint["state_dict"]
    prefixes = {"model.": model}
    if model["_target_"] == ENSEMBLE:
        prefixes = {f"model.members.{k}.": one for k, one in enumerate(model["models"])}
    for prefix, config in prefixes.items():
        own = {key.removeprefix(prefix): state[key] for key in state if key.startswith(prefix)}
        yield config, own


def _counts(model: Mapping[str, Any]) -> list[int]:
    """How often each member of a blend counts, or the one that a model alone is."""
    number = len(model["models"]) if model["_target_"] == ENSEMBLE else 1
    return list(model.get("counts") or equal_shares(number))


def check_alike(ours: Mapping[str, Any], other: Mapping[str, Any], path: Any) -> None:
    """See that a model is a member of an ensemble.

    Args:
        ours (dict): Settings of a member.
        other (dict): Settings of the model.
        path (Path): Where it was read from, for the error.

    Raises:
        ValueError: If they or their targets differ by more than seeds.
    """
    names, others = ((one.get("inputs") or {}).get("target_names") for one in (ours, other))
    differs = next(
        (key for key in ALIKE if _seedless(ours.get(key)) != _seedless(other.get(key))), None
    )
    if names != others:
        differs = f"target_names is another one than that of the others: {others} and {names}"
    elif differs is not None:
        differs += " is another one than that of the others"
    if differs is not None:
        raise ValueError(
            f"{path} is no member of this ensemble: its {differs}; join models that differ by "
            "their seed alone"
        )


def _seedless(value: Any) -> Any:
    """Without what members may differ by: seeds, as that of a forest, and weights of a blend."""
    if isinstance(value, Mapping):
        own = ("seed", "counts")
        return {key: _seedless(one) for key, one in value.items() if key not in own}
    return [_seedless(one) for one in value] if isinstance(value, (list, tuple)) else value
