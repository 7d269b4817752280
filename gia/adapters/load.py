"""Adapters that are added with the weights that they have been given elsewhere."""

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from gia.adapters.adapter_config import AdapterConfig
from gia.adapters.decoder import DEFAULT, decoder
from gia.adapters.files import WEIGHTS, fill, read
from gia.adapters.model import active, add, remove
from gia.adapters.model import set as choose
from gia.adapters.published import from_published


def load(model: nn.Module, folder: str | PathLike, name: str = DEFAULT) -> None:
    """Add an adapter out of a folder, and make it the one that is used and trained.

    Args:
        model (nn.Module): As for :func:`gia.adapters.add`.
        folder (path): What :func:`gia.adapters.save` wrote.
        name (str): What it is called from now on.

    Raises:
        OSError: If a file is missing or cannot be read.
        ValueError: If a file is broken, or the adapter was made for another model. The model is
            then as it was.
    """
    folder = Path(folder)
    config, state = read(folder, decoder(model))
    add_filled(model, config, state, name, str(folder / WEIGHTS))


def load_published(
    model: nn.Module,
    state: Mapping[str, Tensor],
    config: Mapping[str, Any],
    name: str = DEFAULT,
) -> None:
    """Add an adapter that was trained with the published code.

    Args:
        model (nn.Module): As for :func:`gia.adapters.add`.
        state (dict), config (dict): As for :func:`gia.adapters.from_published`, of a whole model.
        name (str): What it is called.

    Raises:
        ValueError: If something is not known or does not fit. The model is then as it was.
    """
    ours, converted = from_published(state, config)
    if ours.layers is None:
        raise ValueError("state has the parameters of one layer: names have no layers.0. before")
    filled = {key.removeprefix("layers."): value for key, value in converted.items()}
    add_filled(model, ours, filled, name, "the published adapter")


def add_filled(
    model: nn.Module, config: AdapterConfig, state: dict[str, Tensor], name: str, source: str
) -> None:
    """Add an adapter with its weights; where they do not fit, the model is as it was."""
    before = active(model)
    add(model, config, name)
    try:
        fill(decoder(model).adapter(name), state, source)
    except BaseException:
        remove(model, name)
        if before:
            choose(model, before)
        raise
