"""Libraries that gia does without until they are asked for."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def require(module: str, purpose: str, extra: str, otherwise: str = "") -> Any:
    """A module of a library that need not be installed.

    Args:
        module: its name, such as ``"Bio.SeqIO.FastaIO"``.
        purpose: what takes which library, such as ``"reading FASTA takes Biopython"``.
        extra: with which of gia's extras it is installed.
        otherwise: what can be done without it.

    Raises:
        ImportError: if it is not installed, saying how to.
    """
    try:
        import_module(module.partition(".")[0])  # a module of it may have been left in memory
        return import_module(module)
    except ImportError as error:
        way = f"pip install gia[{extra}]{otherwise}"
        raise ImportError(f"{purpose}, which is not installed: {way}") from error
