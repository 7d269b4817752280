"""An adapter on disk: its configuration and its own weights, nothing of the model's."""

import json
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gia.adapters.adapter_config import AdapterConfig
from gia.adapters.decoder import DEFAULT, Decoder, decoder
from gia.adapters.kinds import KINDS, kind_name
from gia.data.files import write_atomically

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
BROKEN = "broken"
# Beside the files of a model or of PEFT's. Where a folder has weights right in it a Trainer takes
# it for PEFT's: here they are one deeper, under the adapter's name.
BESIDE = "gia_adapters"


def save(model: nn.Module, folder: str | PathLike, name: str = DEFAULT) -> Path:
    """Write an adapter to a folder; a failed write leaves what was there.

    Args:
        model (nn.Module): A model with adapters.
        folder (path): Where ``adapter_config.json`` and ``adapter_model.safetensors`` go.
        name (str): Which adapter.

    Raises:
        KeyError: If there is no such adapter.
        OSError: If the folder cannot be written to.
        ValueError: If the folder holds a model, or an adapter of PEFT's.
    """
    from safetensors.torch import save as to_bytes

    base = decoder(model)
    parts = base.adapter(name)
    state = {key: value.cpu().contiguous() for key, value in state_of(parts).items()}
    some = next(iter(parts.values()))
    description = {
        "peft_type": kind_name(some.config),
        "base": _describe(base),
        "config": some.config.to_dict(),
    }
    folder = Path(folder)
    _check_free(folder, name)
    folder.mkdir(parents=True, exist_ok=True)
    with write_atomically(folder / WEIGHTS, "wb") as file:
        file.write(to_bytes(state, metadata={"format": "pt"}))
    with write_atomically(folder / CONFIG) as file:
        file.write(json.dumps(description, indent=2) + "\n")
    return folder


def read(folder: Path, base: Decoder) -> tuple[AdapterConfig, dict[str, Tensor]]:
    """The configuration and the weights of an adapter for a model.

    Raises:
        OSError: If a file is missing or cannot be read.
        ValueError: If a file is broken, or the adapter was made for another model.
    """
    description, state = _read(folder)
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
        return KINDS[description["peft_type"]].from_saved(description["config"]), state
    except (TypeError, ValueError) as error:
        raise ValueError(f"{folder / CONFIG} is broken: {error}") from error


@torch.no_grad()
def fill(parts: dict[int, nn.Module], state: dict[str, Tensor], source: str) -> None:
    """Give an adapter the weights that :func:`read` has read.

    Raises:
        ValueError: If they do not fit. The adapter is then as it was.
    """
    expected = state_of(parts)
    _check(expected, state, source)
    for key, value in expected.items():
        value.copy_(state[key])


def state_of(parts: dict[int, nn.Module]) -> dict[str, Tensor]:
    """All weights of an adapter, by layer."""
    return {
        f"{number}.{key}": value
        for number, part in parts.items()
        for key, value in part.state_dict().items()
    }


def kind_of(folder: Path) -> str | None:
    """Whose adapter a folder holds, one of ``KINDS`` if ours; None where there is none."""
    if not (folder / CONFIG).exists():
        return None
    try:
        return str(json.loads((folder / CONFIG).read_text())["peft_type"])
    except (ValueError, KeyError, TypeError):
        return BROKEN


def _check_free(folder: Path, name: str) -> None:
    kind, found = kind_of(folder), None
    if kind is not None and kind not in KINDS:
        found = f"a {kind} adapter, which would be overwritten"
    elif (folder / "config.json").exists():
        found = "a model, which from_pretrained would then take for an adapter of PEFT's"
    if found is not None:
        raise ValueError(f"{folder} holds {found}: save to {folder / BESIDE / name}")


def _read(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder} to load an adapter from")
    there = f"; it has some of gia's in {folder / BESIDE}" if (folder / BESIDE).is_dir() else ""
    for file in (CONFIG, WEIGHTS):
        if not (folder / file).is_file():
            raise FileNotFoundError(f"{folder} holds no {file}: it is not a saved adapter{there}")
    kind = kind_of(folder)
    lora = ", or as Graph-LoRA by gia.adapters.load_lora" if kind == "LORA" else ""
    if kind not in (*KINDS, BROKEN):
        raise ValueError(f"{folder} holds a {kind} adapter: load it with PEFT{there}{lora}")
    try:
        description = json.loads((folder / CONFIG).read_text())
        parts = [description[key] for key in ("peft_type", "base", "config")]
        if not all(isinstance(part, dict) for part in parts[1:]):
            raise TypeError("base and config are tables")
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{folder / CONFIG} is broken or not an adapter's: {error}") from error
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


def _describe(base: Decoder) -> dict[str, Any]:
    text = base.config
    return {
        "model_type": text.model_type,
        "num_layers": len(base.layers),
        "width": text.hidden_size,
        "heads": text.num_attention_heads,
    }
