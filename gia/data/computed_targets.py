"""Targets that are computed from molecules, so that a model can learn of those nobody measured."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from gia.data.components import of_components
from gia.data.descriptors import rdkit_descriptors
from gia.data.items import Items

KINDS = ("rdkit_2d",)
# Tails beyond these shares of the molecules are cut off: a mean squared error would see nothing
# else of a descriptor that spans ten orders of magnitude.
TAILS = (0.005, 0.995)
# A descriptor that differs from its median in fewer molecules teaches nothing.
FEWEST, LEAST = 10, 0.005


def compute_targets(items: Items, kind: str) -> Items:
    """The items with descriptors of each molecule as their targets, heavy tails cut off.

    Args:
        items: molecules, with their SMILES as ``text``.
        kind: ``"rdkit_2d"``, see :func:`gia.data.descriptors.rdkit_descriptors`.

    Raises:
        ImportError: if rdkit is not installed.
        ValueError: if no descriptor differs among the molecules.
    """
    texts, places = [data.text for data in items.graphs], items.places("smiles")
    names, values = of_components(rdkit_descriptors, texts, places)
    values = winsorised(values)
    differ = (np.abs(values - np.nanmedian(values, 0)) > 0).sum(0) if len(values) else 0
    chosen = np.flatnonzero(differ >= max(FEWEST, LEAST * len(values)))
    if not len(chosen):
        raise ValueError(
            f"data.computed_targets={kind}: no descriptor differs among {len(values)} molecules in "
            f"at least {FEWEST}: give more molecules"
        )
    y = torch.from_numpy(values[:, chosen]).float()
    for data, row in zip(items.graphs, y.split(1), strict=True):
        data.y = row.clone()
    return replace(items, cells=[], target_names=[names[i] for i in chosen])


def winsorised(values: np.ndarray) -> np.ndarray:
    """Each column within its own :data:`TAILS`; what is not finite is NaN, which is masked.

    Shapes:
        values: [n, F]
    """
    values = np.where(np.isfinite(values), values, np.nan)
    known = np.isfinite(values).any(0)
    low, high = np.zeros((2, values.shape[1]))
    if known.any():
        low[known], high[known] = np.nanquantile(values[:, known], TAILS, axis=0)
    return values.clip(low, high)
