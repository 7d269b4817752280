"""Molecules on paper: where rdkit draws the atoms of a graph, and its drawing."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch_geometric.data import Data

from gia.data.chemistry import require_rdkit
from gia.data.components import split_components
from gia.data.depict_crystal import CellDepiction, depict_crystal

APART = 3.0  # between the molecules of a row, in rdkit's units: two bonds
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


def depiction_of(graph: Data, kind: str) -> Depiction | CellDepiction | None:
    """How a graph is drawn.

    Args:
        graph: the graph.
        kind: what its ``text`` is, see :class:`gia.data.Items`.

    Returns:
        None where it is neither a molecule nor a crystal.
    """
    drawn = {"smiles": depict, "crystal": depict_crystal}.get(kind)
    return None if drawn is None else drawn(graph)


def depict(graph: Data) -> Depiction | None:
    """Draw the molecule of a graph, hydrogens within the letters.

    The molecules of a graph of several, see :func:`gia.data.join_components`, stand side by side
    in their order.

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
    from rdkit.rdBase import BlockLogs

    molecules, atoms, before = [], [0] * graph.num_nodes, 0
    for nodes, part in split_components(graph):
        # From the text, as a graph has lost which way round its stereocentres are.
        with BlockLogs():
            molecule = chem.MolFromSmiles(part.text)
        own = _atoms(molecule, part)
        if own is None:
            return None
        for node, atom in zip(nodes, own, strict=True):
            atoms[node] = before + atom
        molecules.append(molecule)
        before += molecule.GetNumAtoms()
    molecule = molecules[0] if len(molecules) == 1 else _side_by_side(molecules)
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


def _side_by_side(molecules: Sequence[Any]) -> Any:
    """Molecules as one, each to the right of the one before."""
    chem = require_rdkit()
    from rdkit.Chem.rdDepictor import Compute2DCoords
    from rdkit.Geometry import Point3D

    joined = None
    for molecule in molecules:
        Compute2DCoords(molecule)
        if joined is None:
            joined = molecule
            continue
        (_, right, height), (left, _, middle) = _extent(joined), _extent(molecule)
        offset = Point3D(right + APART - left, height - middle, 0)
        joined = chem.CombineMols(joined, molecule, offset)
    chem.SanitizeMol(joined)  # rings are to be found again
    return joined


def _extent(molecule: Any) -> tuple[float, float, float]:
    """Where a drawing begins and ends from left to right, and its middle height."""
    points = molecule.GetConformer().GetPositions()
    (left, bottom, _), (right, top, _) = points.min(0), points.max(0)
    return float(left), float(right), float(bottom + top) / 2


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
