"""Descriptors: numbers that say something of a whole molecule or of a whole peptide."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from gia.data.chemistry import require_rdkit
from gia.data.optional import require
from gia.data.parallel import on_all_cores
from gia.data.progress import progress
from gia.data.tokenizer import AMINO_ACIDS

# What grows with an exponential of the size, beyond single precision: its logarithm is taken.
EXPONENTIAL = ("Ipc",)
FEW = 2000  # molecules that one core describes as fast as others are started


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
    require_rdkit()
    from rdkit.Chem.Descriptors import descList

    names = [name for name, _ in descList]
    values = np.zeros((len(smiles), len(names)))
    found = on_all_cores(_describe, smiles, few=FEW)
    for row, numbers in enumerate(progress(found, len(smiles), "computing descriptors")):
        values[row] = numbers
    for name in EXPONENTIAL:
        if name in names:
            values[:, names.index(name)] = np.log1p(values[:, names.index(name)])
    return names, values


def _describe(smiles: str) -> list[float]:
    """The descriptors of a molecule, in rdkit's order."""
    from rdkit.Chem import MolFromSmiles
    from rdkit.Chem.Descriptors import CalcMolDescriptors
    from rdkit.rdBase import BlockLogs

    with BlockLogs():
        molecule = MolFromSmiles(smiles)
        if molecule is None:
            raise ValueError(
                f"data.features=rdkit_2d describes molecules, and {smiles[:40]!r} is no SMILES"
            )
        return list(CalcMolDescriptors(molecule, missingVal=math.nan, silent=True).values())


def peptide_descriptors(sequences: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """What Biopython's ProtParam says of peptides, their length and the share of each residue.

    Residues other than the 20 amino acids count in the length alone; where none is left, all else
    is NaN.

    Args:
        sequences: n peptides.

    Returns:
        The names of the F descriptors, and ``[n, F]``, float64.

    Raises:
        ImportError: if Biopython is not installed.
    """
    protparam = require("Bio.SeqUtils.ProtParam", "data.features=peptide takes Biopython", "bio")
    found = []
    for sequence in sequences:
        known = "".join(letter for letter in sequence if letter in AMINO_ACIDS)
        said = dict.fromkeys(PROTPARAM, math.nan)
        if known:
            peptide = protparam.ProteinAnalysis(known)
            said = {name: function(peptide) for name, function in PROTPARAM.items()}
        shares = {
            f"share_{letter}": known.count(letter) / len(known) if known else math.nan
            for letter in AMINO_ACIDS
        }
        found.append({"length": len(sequence), **said, **shares})
    names = ["length", *PROTPARAM, *(f"share_{letter}" for letter in AMINO_ACIDS)]
    return names, np.array([[row[name] for name in names] for row in found], dtype=np.float64)


# Of a ``ProteinAnalysis``.
PROTPARAM: dict[str, Callable] = {
    "molecular_weight": lambda peptide: peptide.molecular_weight(),
    "charge_at_pH_7": lambda peptide: peptide.charge_at_pH(7.0),
    "isoelectric_point": lambda peptide: peptide.isoelectric_point(),
    "gravy": lambda peptide: peptide.gravy(),
    "aromaticity": lambda peptide: peptide.aromaticity(),
    "instability_index": lambda peptide: peptide.instability_index(),
    "helix_fraction": lambda peptide: peptide.secondary_structure_fraction()[0],
    "turn_fraction": lambda peptide: peptide.secondary_structure_fraction()[1],
    "sheet_fraction": lambda peptide: peptide.secondary_structure_fraction()[2],
    "extinction_reduced": lambda peptide: peptide.molar_extinction_coefficient()[0],
    "extinction_oxidised": lambda peptide: peptide.molar_extinction_coefficient()[1],
}
