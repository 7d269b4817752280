"""An adapter on disk: its configuration and its own weights, nothing of the model's."""

import json
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gia.adapters.config import SparseGINConfig
from gia.adapters.decoder import Decoder, decoder
from gia.adapters.layer import SparseGIN
from gia.adapters.model import DEFAULT, active, add, remove
from gia.adapters.model import set as choose
from gia.adapters.published import from_published
from gia.data.files import write_atomically

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
KIND = "SPARSE_GIN"


def save(model: nn.Module, folder: str | PathLike, name: str = DEFAULT) -> Path:
    """Write an adapter to a folder; a failed write leaves what was there.

    Args:
        model (nn.Module): A model with adapters.
        folder (path): Where ``adapter_config.json`` and ``adapter_model.safetensors`` go.
        name (str): Which adapter.

    Raises:
        KeyError: If there is no such adapter.
        OSError: If the folder cannot be written to.
    """
    from safetensors.torch import save as to_bytes

    base = decoder(model)
    parts = base.adapter(name)
    state = {key: value.cpu().contiguous() for key, value in _state(parts).items()}
    some = next(iter(parts.values()))
    description = {"peft_type": KIND, "base": _describe(base), "config": some.config.to_dict()}
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with write_atomically(folder / WEIGHTS, "wb") as file:
        file.write(to_bytes(state, metadata={"format": "pt"}))
    with write_atomically(folder / CONFIG) as file:
        file.write(json.dumps(description, indent=2) + "\n")
    return folder


def load(model: nn.Module, folder: str | PathLike, name: str = DEFAULT) -> None:
    """Add an adapter out of a folder, and make it the one that is used and trained.

    Args:
        model (nn.Module): As for :func:`gia.adapters.add`.
        folder (path): What :func:`save` wrote.
        name (str): What it is called from now on.

    Raises:
        OSError: If a file is missing or cannot be read.
        ValueError: If a file is broken, or the adapter was made for another model. The model is
            then as it was.
    """
    folder = Path(folder)
    description, state = _read(folder)
    base = decoder(model)
    here, there = _describe(base), description["base"]
    different = [
        f"{key} {there.get(key)} instead of {here[key]}"
        for key in ("num_layers", "width", "heads")
        if there.get(key) != here[key]
    ]
    if different:
        raise ValueError(
            f"the adapter in {folder} was made for another model ({there.get('model_type')}): "
            f"{', '.join(different)}"
        )
    try:
        config = SparseGINConfig.from_dict(description["config"])
    except (TypeError, ValueError) as error:
        raise ValueError(f"{folder / CONFIG} is broken: {error}") from error
    _add_filled(model, config, state, name, str(folder / WEIGHTS))


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
    _add_filled(model, ours, filled, name, "the published adapter")


def _add_filled(
    model: nn.Module, config: SparseGINConfig, state: dict[str, Tensor], name: str, source: str
) -> None:
    before = active(model)
    add(model, config, name)
    try:
        expected = _state(decoder(model).adapter(name))
        _check(expected, state, source)
        with torch.no_grad():
            for key, value in expected.items():
                value.copy_(state[key])
    except BaseException:
        remove(model, name)
        if before:
            choose(model, before)
        raise


def _read(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder} to load an adapter from")
    for file in (CONFIG, WEIGHTS):
        if not (folder / file).is_file():
            raise FileNotFoundError(f"{folder} holds no {file}: it is not a saved adapter")
    try:
        description = json.loads((folder / CONFIG).read_text())
        kind, *parts = (description[key] for key in ("peft_type", "base", "config"))
        if not all(isinstance(part, dict) for part in parts):
            raise TypeError("base and config are tables")
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{folder / CONFIG} is broken or not an adapter's: {error}") from error
    if kind != KIND:
        raise ValueError(f"{folder} holds a {kind} adapter: load it with PEFT")
    try:
        return description, load_file(folder / WEIGHTS)
    except SafetensorError as error:
        raise ValueError(f"{folder / WEIGHTS} is broken: {error}") from error


def _check(expected: dict[str, Tensor], state: dict[str, Tensor], source: str) -> None:
    wrong = [f"{key} is missing" for key in expected.keys() - state.keys()]
    wrong += [f"{key} is unknown" for key in state.keys() - expected.keys()]
    wrong += [
        f"{key} has shape {list(state[key].shape)} instead of {list(value.shape)}"
        for key, value in expected.items()
        if key in state and state[key].shape != value.shape
    ]
    wrong += [
        f"{key} holds numbers that are not finite"
        for key, value in state.items()
        if not bool(torch.isfinite(value).all())
    ]
    if wrong:
        raise ValueError(f"{source} does not fit: {'; '.join(sorted(wrong)[:5])}")


def _state(parts: dict[int, SparseGIN]) -> dict[str, Tensor]:
    """All weights of an adapter, by layer."""
    return {
        f"{number}.{key}": value
        for number, part in parts.items()
        for key, value in part.state_dict().items()
    }


def _describe(base: Decoder) -> dict[str, Any]:
    text = base.config
    return {
        "model_type": text.model_type,
        "num_layers": len(base.layers),
        "width": text.hidden_size,
        "heads": text.num_attention_heads,
    }
