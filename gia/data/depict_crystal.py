"""Crystals on paper: where the atoms of a cell stand when it is looked at, and its outline."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product

import numpy as np
from torch_geometric.data import Data

from gia.data.elements import require_pymatgen
from gia.data.node_labels import node_labels

AZIMUTH, ELEVATION = 20.0, 12.0  # degrees; a cell looked at from there lays its sides apart
FACE = 1e-3  # of a vector: an atom so near a side of the cell is drawn on the other side, too
UNMEASURED = 1.0  # Angstrom, the radius of an element whose own is not known


@dataclass(frozen=True)
class CellDepiction:
    """A cell of a crystal in two dimensions, in Angstrom: to the right, up, and towards the reader.

    Attributes:
        positions: where each node of the graph stands, within the cell, ``[N, 3]``.
        copies: where atoms on its sides stand once more, ``[M, 3]``.
        copied: which node each of these is, ``[M]``.
        corners: both ends of each of the twelve sides, ``[12, 2, 3]``; those of the vectors a, b
            and c first.
        symbols: the element of each node, ``[N]``.
        radii: of each node, ``[N]``.
        colours: of each node, by its element, from 0 to 1, ``[N, 3]``.
    """

    positions: np.ndarray
    copies: np.ndarray
    copied: np.ndarray
    corners: np.ndarray
    symbols: list[str]
    radii: np.ndarray
    colours: np.ndarray


def depict_crystal(graph: Data) -> CellDepiction | None:
    """Lay out the cell of a crystal.

    Args:
        graph: as :func:`gia.data.crystals.crystal_graph` makes it.

    Returns:
        None if the graph has no atoms in a cell, as a transform may have left it.
    """
    if graph.get("cell") is None or graph.get("pos") is None:
        return None
    require_pymatgen()
    from pymatgen.core import Element
    from pymatgen.vis.structure_vtk import EL_COLORS

    cell = graph.cell.reshape(3, 3).double().numpy()
    inside = graph.pos.double().numpy() @ np.linalg.inv(cell)
    inside = (inside + FACE) % 1 - FACE  # -1e-9 is on this side, and not on the other
    copies, copied = [], []
    for node, share in enumerate(inside):
        sides = [(0, 1) if abs(one) <= FACE else (0,) for one in share]
        for step in list(product(*sides))[1:]:
            copies.append(share + np.array(step))
            copied.append(node)
    corners = np.array(list(product((0, 1), repeat=3)))
    ends = [(one, one + step) for step in np.eye(3, dtype=int) for one in corners if not one @ step]
    ends.sort(key=lambda pair: pair[0].sum())
    view = cell @ _view()
    elements = node_labels(graph, "crystal")
    return CellDepiction(
        positions=inside @ view,
        copies=np.array(copies).reshape(-1, 3) @ view,
        copied=np.array(copied, dtype=int),
        corners=np.array(ends) @ view,
        symbols=elements,
        radii=np.array([float(Element(symbol).atomic_radius or UNMEASURED) for symbol in elements]),
        colours=np.array([EL_COLORS["VESTA"][symbol] for symbol in elements]) / 255,
    )


def _view() -> np.ndarray:
    """The axes of paper in the columns: z is up, seen from the right and from above."""
    azimuth, elevation = math.radians(AZIMUTH), math.radians(ELEVATION)
    towards = np.array(
        [
            math.sin(azimuth) * math.cos(elevation),
            -math.cos(azimuth) * math.cos(elevation),
            math.sin(elevation),
        ]
    )
    right = np.array([math.cos(azimuth), math.sin(azimuth), 0.0])
    return np.stack([right, np.cross(towards, right), towards], 1)
