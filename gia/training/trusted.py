"""What a checkpoint may build.

A checkpoint names the classes that its model is made of, and a file from elsewhere may name
anything that Python can import. So nothing is built from a file before every name in it has been
looked at: what is not on the list here is refused.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

from pytorch_lightning import Callback, Trainer
from pytorch_lightning.loggers import Logger
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch_geometric.data import Dataset
from torch_geometric.transforms import BaseTransform
from torchmetrics import Metric

# Nothing else is even imported.
PACKAGES = (
    *("gia", "torch.nn", "torch.optim"),
    *("torch_geometric", "pytorch_lightning", "torchmetrics"),
)
# Parts of these packages whose constructors evaluate text, or fetch and load files.
REFUSED = (
    *("torch_geometric.nn.sequential", "torch_geometric.nn.model_hub"),
    *("torch_geometric.nn.nlp", "torch_geometric.llm"),
    *(f"torchmetrics.{part}" for part in ("text", "image", "audio", "multimodal", "detection")),
    "torchmetrics.functional",  # its few classes are networks, read from a path
)
# Classes that only build an object: of gia those of whole rooms, of the others those of a kind.
PARTS = ("gia.adapters", "gia.attention", "gia.graph", "gia.nn", "gia.ops", "gia.tasks")
PART_KINDS = (nn.Module, Optimizer, LRScheduler, Metric)
# Those that read or fetch data, where a checkpoint describes its data and nowhere else. Of others
# only transforms: data sets of PyG unpickle their files, which may come from any address.
DATA = ("gia.data",)
DATA_KINDS = (BaseTransform,)
# Those that a training has beside its model: they are in a checkpoint, but never built from it.
BESIDE = ("gia.training",)
BESIDE_KINDS = (Callback, Logger, Trainer)
FUNCTIONS = (
    "torch.tensor",
    "gia.adapters.config.SparseGINConfig.published",
    "gia.nn.conv_block.cg_conv",
    "gia.nn.conv_block.transformer_conv",
    "gia.training.schedules.constant",
    "gia.training.schedules.cosine",
)
RUNNERS = (
    *("gia.training.run.Run.from_config", "gia.training.fitted.FittedRun.from_config"),
    "gia.training.measured.MeasuredRun.from_config",
)

TARGET = "_target_"
DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")


class RefusedError(ValueError):
    """A checkpoint names what it may not build."""


def check_settings(settings: Any, path: Any, trust: Iterable[str] = ()) -> None:
    """Look at every ``_target_`` of a checkpoint's settings, before anything is built from them.

    Args:
        settings (dict): The resolved configuration in the checkpoint.
        path (Path): The checkpoint, for messages.
        trust (list of str): Modules, or single names in them, that may be built as well.

    Raises:
        RefusedError: If one is not on the list, a setting refers to another, or data is at an
            address that is no ``url`` of gia's own.
    """
    trust, vouched = tuple(trust), []
    for section, place, target in _targets(settings):
        if _is_trusted(target, trust):
            vouched.append(f"{place}.")
        elif not _may_be_built(str(target), section):
            raise RefusedError(
                f"{path} is refused: at {place} it names {target!r}, {_way_out(target, section)}"
            )
    for place, text in _walk(settings):
        if isinstance(text, str) and "${" in text:
            raise RefusedError(
                f"{path} is refused: {place} is {text!r}, but the settings in a checkpoint refer "
                "to nothing"
            )
        if _is_address(place, text) and not place.startswith(tuple(vouched)):
            raise RefusedError(
                f"{path} is refused: {place} is {text!r}, but data in a checkpoint is at no "
                "address, except a url of gia's own"
            )


def targets_of(settings: Any) -> list[str]:
    """Every name that settings want built, for instance those of the user's own configuration."""
    return [target for _, _, target in _targets(settings) if isinstance(target, str)]


def as_modules(trust: str | Iterable[str] | None) -> list[str]:
    """The setting ``trust``: nothing, a module, or a list of them.

    Raises:
        ValueError: If one is no dotted name.
    """
    modules = [trust] if isinstance(trust, str) else list(trust or ())
    for module in modules:
        if not (isinstance(module, str) and module.replace(".", "_").isidentifier()):
            raise ValueError(f"trust must name modules, such as my_package.layers, got {module!r}")
    return modules


@cache
def _may_be_built(target: str, section: str) -> bool:
    """Whether what a name stands for is on the list."""
    if target == "torch.tensor":
        return True
    if not _in_packages(target):
        return False
    found = _locate(target)
    name = f"{getattr(found, '__module__', '')}.{getattr(found, '__qualname__', '')}"
    if not isinstance(found, type):
        return name in FUNCTIONS or (section == "runner" and name in RUNNERS)
    if any(_within(name, part) for part in REFUSED):
        return False
    rooms, kinds = PARTS, PART_KINDS
    if section in ("data", "tokenizer"):
        rooms, kinds = rooms + DATA, kinds + DATA_KINDS
    if section in ("callbacks", "logger", "trainer"):
        rooms, kinds = rooms + BESIDE, kinds + BESIDE_KINDS
    if _within(name, "gia"):
        return any(_within(name, room) for room in rooms)
    return _in_packages(name) and issubclass(found, kinds)


def _way_out(target: Any, section: str) -> str:
    """Why a name is refused, and what lets it in."""
    found = _locate(target) if _in_packages(str(target)) else None
    if section == "data" and isinstance(found, type) and issubclass(found, Dataset):
        return (
            "a data set that is not gia's and can run code from the files it reads; if you trust "
            f"this checkpoint and those files, give trust={target}"
        )
    return (
        "which is none of the parts that a checkpoint may build; for a module of your own give "
        "trust=MODULE"
    )


def _is_address(place: str, value: Any) -> bool:
    """Whether a setting of the data is an address, such as ``http://...``, and no ``url``."""
    in_data = place.startswith("data.") and place.rpartition(".")[2] != "url"
    return in_data and isinstance(value, str) and "://" in value


def _in_packages(name: str) -> bool:
    return any(_within(name, package) for package in PACKAGES)


def _is_trusted(target: Any, trust: tuple[str, ...]) -> bool:
    """Whether a name is trusted itself, or stands for what a trusted module defines."""
    if target in trust:
        return True
    if not any(_within(str(target), trusted) for trusted in trust):
        return False
    home = getattr(_locate(target), "__module__", None)
    return isinstance(home, str) and any(_within(home, trusted) for trusted in trust)


def _locate(target: str) -> Any:
    """What a name stands for, as Hydra finds it, but never by way of a module's imports.

    Returns:
        The object; None if there is none, or if the way to it leaves the modules it names.
    """
    if not DOTTED.fullmatch(target):
        return None
    first, *rest = target.split(".")
    try:
        found, place = import_module(first), first
        for name in rest:
            # A class may lead to its method; what is one is then asked by its own name.
            if isinstance(found, ModuleType) and found.__name__ != place:
                return None  # such as torch.nn.functional.torch
            place = f"{place}.{name}"
            if not hasattr(found, name) and isinstance(found, ModuleType):
                import_module(place)
            found = getattr(found, name)
    except (ImportError, AttributeError):
        return None
    return found


def _within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def _targets(settings: Any) -> Iterator[tuple[str, str, Any]]:
    """Section, place and name of everything that is to be built."""
    for place, value in _walk(settings):
        if isinstance(value, Mapping) and TARGET in value:
            yield place.partition(".")[0], place or "the top", value[TARGET]


def _walk(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """A value and all that is in it, each with its place."""
    yield place, value
    members: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, Mapping):
        members = value.items()
    elif isinstance(value, (list, tuple)):
        members = enumerate(value)
    for key, member in members:
        yield from _walk(member, f"{place}.{key}" if place else str(key))
