"""rdkit, which is imported when the first molecule is read; and when two molecules are one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gia.data.optional import require

if TYPE_CHECKING:
    from rdkit.Chem import Mol


def require_rdkit() -> Any:
    """``rdkit.Chem``.

    Raises:
        ImportError: if rdkit is not installed.
    """
    return require("rdkit.Chem", "molecules take rdkit", "chem")


def without_maps(molecule: Mol) -> Mol:
    """The molecule itself: atom maps number its atoms and say nothing of it.

    With them go the hydrogens and the stereocentres that only the numbers made.
    """
    chem = require_rdkit()
    if not any(atom.GetAtomMapNum() for atom in molecule.GetAtoms()):
        return molecule
    molecule = chem.Mol(molecule)
    for atom in molecule.GetAtoms():
        atom.SetAtomMapNum(0)
    molecule = chem.RemoveHs(molecule)
    chem.AssignStereochemistry(molecule, cleanIt=True, force=True)
    return molecule


def identity(molecule: Mol) -> str:
    """What is the same for the same molecule, however it is written: canonical SMILES.

    Atom maps, the order of atoms and fragments, explicit hydrogens and kekulised rings make no
    other molecule. Stereochemistry, charges, isotopes, tautomers and counterions do.
    """
    return require_rdkit().MolToSmiles(without_maps(molecule))


def same_molecule(smiles: str) -> str:
    """The identity of a molecule, or the text itself where rdkit is missing or rejects it."""
    try:
        chem = require_rdkit()
    except ImportError:
        return smiles
    from rdkit.rdBase import BlockLogs

    with BlockLogs():
        molecule = chem.MolFromSmiles(smiles)
        return smiles if molecule is None else identity(molecule)
