"""Molecules with one Bemis-Murcko scaffold, so that they can be kept on one side of a split."""

from collections.abc import Sequence

import torch
from torch import Tensor

from gia.data.chemistry import require_rdkit


def scaffolds(smiles: Sequence[str]) -> Tensor:
    """Scaffold numbers of molecules: rings and what joins them, without side chains.

    `Bemis and Murcko, 1996 <https://doi.org/10.1021/jm9602928>`_. Stereochemistry is left aside,
    and molecules without a ring share the empty scaffold, both as in MoleculeNet.

    Args:
        smiles: n molecules that rdkit accepts.

    Shapes:
        returns: [n], int64, numbered from 0 in the order of their first molecules

    Raises:
        ImportError: if rdkit is not installed.
        ValueError: if one of them is no SMILES.
    """
    chem = require_rdkit()
    from rdkit.Chem.Scaffolds import MurckoScaffold
    from rdkit.rdBase import BlockLogs

    numbers: dict[str, int] = {}
    found: dict[str, int] = {}  # of each different molecule
    with BlockLogs():
        for text in smiles:
            if text not in found:
                molecule = chem.MolFromSmiles(text)
                if molecule is None:
                    raise ValueError(
                        f"data.split=scaffold compares molecules, and {text[:40]!r} is no SMILES: "
                        "use data.split=random here"
                    )
                scaffold = MurckoScaffold.MurckoScaffoldSmiles(mol=molecule, includeChirality=False)
                found[text] = numbers.setdefault(scaffold, len(numbers))
    return torch.tensor([found[text] for text in smiles], dtype=torch.long)
