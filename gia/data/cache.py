"""Graphs that were processed once are kept, and never half-written."""

import hashlib
import warnings
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from gia.data.files import cache_folder, write_atomically
from gia.data.items import Items, from_plain, to_plain

# Raised whenever the same dataset gives other graphs than before.
FORMAT = 5


def digest(*parts: Any) -> str:
    """A digest of plain values and of the versions of the libraries that make graphs of them."""
    versions = [f"{name} {package_version(name)}" for name in ("rdkit", "torch-geometric")]
    joined = "\0".join([f"format {FORMAT}", *versions, *map(repr, parts)])
    return hashlib.sha256(joined.encode()).hexdigest()[:32]


def text_digest(text: str) -> str:
    """What the text of an item is known by in ``splits.csv``."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def processed(key: str, build: Callable[[], Items]) -> Items:
    """The items of this digest out of ``$GIA_CACHE/processed``, built and kept the first time.

    A file that cannot be read is built again, with a warning; where it cannot be written, a warning
    says so and the next run builds it again.

    Args:
        key: of :func:`digest`.
        build: makes the items.
    """
    file = cache_folder("processed") / f"{key}.pt"
    if file.exists():
        try:
            return from_plain(torch.load(file, weights_only=True))
        except Exception as error:  # a damaged file can raise almost anything
            warnings.warn(
                f"{file} is damaged and is built again ({type(error).__name__}: {error})",
                stacklevel=2,
            )
    items = build()
    _keep(file, items)
    return items


def _keep(file: Path, items: Items) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with write_atomically(file, "wb") as stream:
            torch.save(to_plain(items), stream)
    except OSError as error:
        warnings.warn(
            f"the processed graphs could not be kept in {file.parent} ({error}): give another "
            "place with the environment variable GIA_CACHE",
            stacklevel=3,
        )


def package_version(package: str) -> str:
    """Which version of a package is installed, ``"absent"`` if none is."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"
