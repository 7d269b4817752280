"""Molecules on paper: where rdkit draws the atoms of a graph, and its drawing."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import Any

from torch_geometric.data import Data

from gia.data.chemistry import require_rdkit

LONE = 30.0  # the length of a bond where there is none: what rdkit's are


@dataclass(frozen=True)
class Depiction:
    """A molecule in two dimensions.

    Attributes:
        positions: where each node of the graph stands: to the right, and down.
        svg: bonds and letters in the same coordinates, black on nothing.
        size: width and height of the drawing.
        bond: the length of a bond.
    """

    positions: list[tuple[float, float]]
    svg: str
    size: tuple[float, float]
    bond: float


def depict(graph: Data) -> Depiction | None:
    """Draw the molecule of a graph, hydrogens within the letters.

    Args:
        graph: with the columns of PyG's ``from_smiles`` and its SMILES as ``text``, whose atoms
            may stand in another order.

    Returns:
        None if the graph is not the molecule of its text, or rdkit is not installed.
    """
    try:
        chem = require_rdkit()
    except ImportError:
        return None
    from rdkit.Chem.Draw import rdMolDraw2D

    # From the text, as a graph has lost which way round its stereocentres are.
    molecule = chem.MolFromSmiles(graph.text)
    atoms = _atoms(molecule, graph)
    if atoms is None:
        return None
    drawer = rdMolDraw2D.MolDraw2DSVG(-1, -1)  # as large as the molecule
    options = drawer.drawOptions()
    options.useBWAtomPalette()
    options.clearBackground = False
    rdMolDraw2D.PrepareAndDrawMolecule(drawer, molecule)
    drawer.FinishDrawing()
    points = [drawer.GetDrawCoords(atom) for atom in atoms]
    positions = [(point.x, point.y) for point in points]
    bonds = [math.dist(positions[i], positions[j]) for i, j in graph.edge_index.T.tolist()]
    return Depiction(
        positions=positions,
        svg=drawer.GetDrawingText(),
        size=(drawer.Width(), drawer.Height()),
        bond=statistics.median(bonds) if bonds else LONE,
    )


def _atoms(molecule: Any, graph: Data) -> list[int] | None:
    """Which atom of a molecule each node of a graph is."""
    from rdkit.rdBase import BlockLogs
    from torch_geometric.utils.smiles import to_rdmol

    if molecule is None or molecule.GetNumAtoms() != graph.num_nodes:
        return None
    with BlockLogs():
        try:
            nodes = to_rdmol(graph)
        # Whatever a transform, or another dataset, has made of the columns.
        except (AssertionError, AttributeError, IndexError, RuntimeError, TypeError, ValueError):
            return None
    return list(molecule.GetSubstructMatch(nodes)) or None
