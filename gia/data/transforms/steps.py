"""Several transforms as one, which says where it failed and what it is."""

import hashlib
import inspect
import sys
from collections.abc import Callable, Iterable
from typing import Any

from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.transforms import BaseTransform, Compose

Transform = Callable[[Data], Data]
# What of these does is told by their version, of which a digest knows.
KNOWN = ("torch_geometric.", "gia.")
PLAIN = (str, int, float, bool, type(None))
# What an item is known by, its target and features: a transform that begins a new Data keeps them.
KEPT = (
    *("name", "row", "text", "smiles", "sequence", "cut"),
    *("y", "y_bounds", "weight", "graph_features"),
)


class Steps(BaseTransform):
    """Transforms one after the other; the error of one that fails names it and the item.

    Args:
        transforms: one of PyG's or of your own, a ``Compose``, a list of either, or None.

    Raises:
        ValueError: when called, if a transform fails or gives no ``Data``.
    """

    def __init__(self, transforms: Transform | Iterable[Transform] | None = None) -> None:
        self.transforms = flat(transforms)

    def forward(self, data: Data) -> Data:
        row, name = data.get("row"), data.get("name")
        for transform in self.transforms:
            called = getattr(transform, "__name__", type(transform).__name__)
            try:
                made = transform(data)
            except Exception as error:  # a user's transform may raise anything
                raise ValueError(
                    f"the transform {called} failed on row {row} ({name}): "
                    f"{type(error).__name__}: {error}"
                ) from error
            if not isinstance(made, Data):
                raise ValueError(
                    f"the transform {called} gave {type(made).__name__} instead of Data for row "
                    f"{row} ({name}): it must return the item"
                )
            for key in KEPT:
                if key in data and key not in made:
                    made[key] = data[key]
            data = made
        return data

    def __bool__(self) -> bool:
        return bool(self.transforms)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.transforms})"


def in_order(own: Any, pre_transform: Any, transform: Any) -> tuple[Steps, Steps]:
    """What is done to each item once, and what whenever it is fetched.

    Args:
        own: the dataset's own transform, called at each fetch: what is to come after it, is too.
        pre_transform: to be called once, if it can be.
        transform: to be called at each fetch.
    """
    if Steps(own):
        return Steps(), Steps([Steps(own), Steps(pre_transform), Steps(transform)])
    return Steps(pre_transform), Steps(transform)


def flat(transforms: Any) -> list[Transform]:
    """The single transforms of one, of a ``Compose`` or of a list.

    Raises:
        ValueError: if one of them cannot be called.
    """
    if transforms is None:
        return []
    if isinstance(transforms, Compose | Steps):
        return flat(transforms.transforms)
    if isinstance(transforms, list | tuple):
        return [single for transform in transforms for single in flat(transform)]
    if not callable(transforms):
        raise ValueError(
            f"a transform must be callable, as torch_geometric.transforms are, got {transforms!r}: "
            "in a configuration its _target_ names the class"
        )
    return [transforms]


def described(value: Any) -> Any:
    """A transform as plain values by which what it made can be kept; None where it has no such.

    Its class, its settings, and the source of the files of all its classes that are neither ours
    nor PyG's.
    """
    if isinstance(value, PLAIN):
        return [value]
    if isinstance(value, Tensor):
        return [str(value.dtype), value.tolist()]
    if isinstance(value, list | tuple):
        found = [described(item) for item in value]
        return None if None in found else ["list", *found]
    if isinstance(value, dict):
        return described(sorted(value.items()))
    kind = type(value)
    if not isinstance(value, BaseTransform):
        return None  # a function may read anything around it
    settings = described(sorted(vars(value).items()))
    if settings is None:
        return None
    sources = [_source(base) for base in kind.__mro__ if not _is_known(base)]
    return None if None in sources else [kind.__qualname__, *sources, settings]


def _is_known(kind: type) -> bool:
    return kind is object or f"{kind.__module__}.".startswith(KNOWN)


def _source(kind: type) -> str | None:
    """A digest of the whole file of a class, with the functions and constants that it may use."""
    if "<locals>" in kind.__qualname__:
        return None  # it may read what is around it
    try:
        source = inspect.getsource(sys.modules[kind.__module__])
    except (KeyError, OSError, TypeError):
        return None
    return hashlib.sha256(source.encode()).hexdigest()
