"""Methods of a Hugging Face model that would leave its adapters behind.

Trainers and scripts save a model by ``save_pretrained``, and PEFT's adapters come back by
``load_adapter``. Both are told the folder, which a callback of a Trainer's is not where a run is
resumed.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from warnings import warn

from torch import nn

from gia.adapters.decoder import decoder
from gia.adapters.files import BESIDE, fill, kind_of, read, save
from gia.adapters.kinds import KINDS


def extend_methods(model: nn.Module) -> None:
    """Let the methods of a model, and of those inside it, know of its adapters."""
    for module, name in _methods(model):
        module.__dict__[name] = partial(METHODS[name], module)


def restore_methods(model: nn.Module) -> None:
    """The methods that their classes have."""
    for module, name in _methods(model):
        module.__dict__.pop(name, None)


def _methods(model: nn.Module) -> list[tuple[nn.Module, str]]:
    # Of the class: a PEFT model has those of the model inside as attributes as well.
    return [
        (part, name) for part in model.modules() for name in METHODS if hasattr(type(part), name)
    ]


def _save_pretrained(model: nn.Module, save_directory: Any, *args: Any, **kwargs: Any) -> Any:
    """Saves the model, and its adapters in a folder beside."""
    folder = Path(save_directory)
    if kind_of(folder) in KINDS:
        raise ValueError(
            f"{folder} holds an adapter of gia's, beside which nothing else can be: save "
            f"{type(model).__name__} to another folder"
        )
    result = type(model).save_pretrained(model, save_directory, *args, **kwargs)
    if kwargs.get("is_main_process", True):
        for name in decoder(model).names:
            save(model, folder / BESIDE / name, name)
    return result


def _load_adapter(model: nn.Module, *args: Any, **kwargs: Any) -> Any:
    """Loads PEFT's adapter; where it replaces one, gia's of the same folder come along."""
    given = dict(zip(("folder", "adapter_name"), args, strict=False)) | kwargs
    folder = given.get("folder") or given.get("model_id") or given.get("peft_model_id")
    in_place = given.get("adapter_name") in (getattr(model, "peft_config", None) or {})
    result = type(model).load_adapter(model, *args, **kwargs)
    if in_place and folder is not None and Path(folder).is_dir():
        _load_beside(model, Path(folder), given["adapter_name"])
    return result


def _load_beside(model: nn.Module, folder: Path, peft_name: str) -> None:
    if folder.name == peft_name and not (folder / BESIDE).exists():
        folder = folder.parent  # where PEFT keeps those of its adapters that have a name
    base = decoder(model)
    for name in base.names:
        source, parts = folder / BESIDE / name, base.adapter(name)
        if not source.is_dir():
            warn(
                f"{folder} holds no adapter {name!r} of gia's ({source}): it stays as it is, while "
                f"PEFT's {peft_name!r} is now the one that was saved there",
                stacklevel=4,
            )
            continue
        config, state = read(source, base)
        own = next(iter(parts.values())).config
        if config != own:
            raise ValueError(
                f"{source} holds an adapter of another configuration than the model's {name!r}: "
                f"{_difference(config.to_dict(), own.to_dict())}"
            )
        fill(parts, state, str(source))


def _difference(there: dict[str, Any], here: dict[str, Any]) -> str:
    return ", ".join(
        f"{key}={there[key]!r} instead of {here[key]!r}" for key in here if there[key] != here[key]
    )


def _init_continuous_batching(model: nn.Module, *args: Any, **kwargs: Any) -> Any:
    """Refuses while an adapter is in use."""
    if any(layer.looks_on for layer in decoder(model).adapted.values()):
        raise ValueError(
            "continuous batching keeps the keys of all sequences in one paged cache, which has no "
            "place for the messages of an adapter: use model.generate, which takes padded batches, "
            "or do without adapters inside gia.adapters.disabled(model)"
        )
    return type(model).init_continuous_batching(model, *args, **kwargs)


METHODS: dict[str, Callable[..., Any]] = {
    "save_pretrained": _save_pretrained,
    "load_adapter": _load_adapter,
    "init_continuous_batching": _init_continuous_batching,
}
