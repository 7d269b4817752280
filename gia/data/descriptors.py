"""Descriptors: numbers that say something of a whole molecule."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from gia.data.chemistry import require_rdkit
from gia.data.items import progress

# What grows with an exponential of the size, beyond single precision: its logarithm is taken.
EXPONENTIAL = ("Ipc",)


def rdkit_descriptors(smiles: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """All two-dimensional descriptors of rdkit, ``rdkit.Chem.Descriptors.descList``.

    The information content ``Ipc`` is given as :math:`\\log(1 + x)`. What rdkit cannot say of a
    molecule, such as ``BCUT2D_MWHI`` of a salt, is NaN.

    Args:
        smiles: n molecules.

    Returns:
        The names of the F descriptors, and ``[n, F]``, float64.

    Raises:
        ImportError: if rdkit is not installed.
        ValueError: if a text is no SMILES.
    """
    chem = require_rdkit()
    from rdkit.Chem.Descriptors import CalcMolDescriptors, descList
    from rdkit.rdBase import BlockLogs

    names = [name for name, _ in descList]
    values = np.zeros((len(smiles), len(names)))
    with BlockLogs():
        for row, text in progress(enumerate(smiles), len(smiles), "computing descriptors"):
            molecule = chem.MolFromSmiles(text)
            if molecule is None:
                raise ValueError(f"rdkit_2d describes molecules, and {text[:40]!r} is no SMILES")
            found = CalcMolDescriptors(molecule, missingVal=math.nan, silent=True)
            values[row] = [found[name] for name in names]
    for name in EXPONENTIAL:
        if name in names:
            values[:, names.index(name)] = np.log1p(values[:, names.index(name)])
    return names, values
