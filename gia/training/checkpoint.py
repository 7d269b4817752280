"""Checkpoint files: written whole or not at all, read with clear errors."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.plugins.io import TorchCheckpointIO
from torch import nn

from gia.data.files import write_atomically
from gia.tasks.task import FORMAT
from gia.training.trusted import check_settings


class AtomicCheckpointIO(TorchCheckpointIO):
    """Write beside the old file, then put the new one in its place in one step.

    A full disk or a kill in the middle of a write leaves the old checkpoint as it was.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with write_atomically(path, "wb") as file:
                torch.save(checkpoint, file)
        # torch reports a failed write as a RuntimeError of its zip writer.
        except (OSError, RuntimeError) as error:
            raise OSError(
                f"cannot write the checkpoint {path} ({error}): make room or choose another "
                "folder with run_dir=..., then resume; what was saved before is whole"
            ) from error


def load_checkpoint(
    path: str | Path, *, trust: Iterable[str] = (), setting: str = "ckpt_path"
) -> dict[str, Any]:
    """Read a checkpoint of gia, and see that it names nothing that may not be built from it.

    Args:
        path (Path): The file.
        trust (list of str): Modules whose classes may be built beside gia's and its libraries'.
        setting (str): Where the path was given, for messages.

    Returns:
        Tensors and plain values; nothing has been built.

    Raises:
        FileNotFoundError: If there is none at ``path``.
        ValueError: If the file is damaged, was not written by gia, has another format or is
            refused.
    """
    checkpoint = read_checkpoint(path, setting)
    check_settings(checkpoint["hyper_parameters"]["settings"], path, trust)
    return checkpoint


def read_checkpoint(path: str | Path, setting: str = "ckpt_path") -> dict[str, Any]:
    """Read a checkpoint from whose settings nothing is to be built: see :func:`load_checkpoint`."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"there is no checkpoint {path}: give {setting}=... the file, as in "
            f"{setting}=runs/NAME/TIME/checkpoints/last.ckpt; a model that is fitted at once, as "
            "random_forest, keeps none"
        )
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ValueError(f"{path} is not a readable checkpoint: {error}") from error
    known = checkpoint.get("hyper_parameters") if isinstance(checkpoint, dict) else None
    if not isinstance(known, dict) or not isinstance(known.get("settings"), dict):
        raise ValueError(f"{path} was not written by gia: it holds no settings")
    if known.get("format") != FORMAT:
        raise ValueError(
            f"{path} has format {known.get('format', 0)}, but this gia reads format {FORMAT}: "
            "train the model again, or load it with the gia that wrote it"
        )
    return checkpoint


def check_architecture(model: nn.Module, checkpoint: dict[str, Any], path: str | Path) -> None:
    """Compare a model with a checkpoint of its task before anything is loaded.

    Raises:
        ValueError: Naming the first parameter that differs.
    """
    saved = {
        key.removeprefix("model."): _shape(key, value)
        for key, value in checkpoint["state_dict"].items()
        if key.startswith("model.")
    }
    ours = {key: _shape(key, value) for key, value in model.state_dict().items()}
    for key in [*ours, *(key for key in saved if key not in ours)]:
        if ours.get(key) == saved.get(key):
            continue
        here = f"has shape {list(ours[key])}" if key in ours else "is missing"
        there = f"shape {list(saved[key])}" if key in saved else "none"
        raise ValueError(
            f"{path} holds another architecture: {key} {here} in this model, {there} in the "
            "checkpoint; give the experiment, attention and model settings it was trained with "
            "(config.yaml beside it has them)"
        )


def _shape(key: str, value: Any) -> tuple[int, ...]:
    """Of a parameter or a buffer; what a module keeps besides has no shape that must agree."""
    return () if key.endswith("_extra_state") else tuple(value.shape)
