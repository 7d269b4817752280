"""Crystals: atoms in a cell that repeats, as graphs of neighbours within a distance."""

from __future__ import annotations

import json
import re
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize
from torch_geometric.data import Data

from gia.data.elements import LARGEST, element_features, require_pymatgen, same_formula
from gia.data.radial import gaussians

CLOSEST = 0.5  # Angstrom: no two nuclei of matter are nearer
SMALLEST = 0.5  # cubic Angstrom that an atom takes at least
TIE = 1e-3  # Angstrom: neighbours that are as far as the last one are neighbours too
CELL = re.compile(r"^\s*_cell_length_a\b", re.MULTILINE)
UNREADABLE = "\0"  # begins what stands for a structure that cannot be read, and why
NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")


@dataclass(frozen=True)
class Neighbours:
    """Which atoms of a crystal are joined, and how a distance is written.

    Attributes:
        cutoff: the farthest that a neighbour may be, in Angstrom.
        max_neighbors: the nearest so many of each atom, and those that are as far as the last.
        num_radial: Gaussians of the distance, see :func:`gia.data.radial.gaussians`.
        num_angular: Gaussians of the cosines of the angles between a neighbour and the other
            neighbours of the same atom, evenly from -1 to 1, in the mean over these; 0 for none.

    Raises:
        ValueError: if one is out of range.
    """

    cutoff: float = 6.0
    max_neighbors: int = 12
    num_radial: int = 32
    num_angular: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.cutoff < np.inf:
            raise ValueError(f"data.cutoff must be a positive distance, got {self.cutoff}")
        for option, least in (("max_neighbors", 1), ("num_radial", 2)):
            if getattr(self, option) < least:
                raise ValueError(
                    f"data.{option} must be at least {least}, got {getattr(self, option)}"
                )
        if self.num_angular < 0 or self.num_angular == 1:
            raise ValueError(f"data.num_angular must be 0, or at least 2, got {self.num_angular}")

    def radial(self, distance: Tensor) -> Tensor:
        """The Gaussians of distances ``[E]``, ``[E, num_radial]``."""
        return gaussians(distance, self.cutoff, self.num_radial)

    def angular(self, vector: Tensor, target: Tensor) -> Tensor:
        r"""What stands beside each neighbour of an atom, and behind it:
        :math:`\frac{1}{k - 1} \sum_{f \neq e} g_m(\cos \theta_{ef})` over its k neighbours, after
        `Behler <https://doi.org/10.1063/1.3553717>`_; 0 of an only neighbour.

        Args:
            vector: from the atom to each neighbour, ``[E, 3]``.
            target: whose neighbour it is, in ascending order, ``[E]``.

        Shapes:
            returns: [E, num_angular]
        """
        direction = normalize(vector, dim=1)
        found = vector.new_zeros(len(vector), self.num_angular)
        start = 0
        for number in target.unique_consecutive(return_counts=True)[1].tolist():
            own = slice(start, start + number)
            start += number
            if number > 1:
                cosine = (direction[own] @ direction[own].T)[~torch.eye(number, dtype=torch.bool)]
                near = gaussians(1 + cosine, 2.0, self.num_angular)
                found[own] = near.view(number, number - 1, -1).mean(1)
        return found


@dataclass
class Atoms:
    """A crystal that was read, as plain arrays.

    Attributes:
        numbers: of the elements, ``[N]``.
        pos: in Angstrom, ``[N, 3]``.
        cell: the vectors of the lattice in its rows, in Angstrom, ``[3, 3]``.
        source, target: of each neighbour and whose it is, ``[E]``; two atoms may be neighbours
            several times, in several cells.
        vector: from the atom to each neighbour, ``[E, 3]``, in Angstrom.
        distance: its length, ``[E]``.
        text: the composition.
    """

    numbers: np.ndarray
    pos: np.ndarray
    cell: np.ndarray
    source: np.ndarray
    target: np.ndarray
    vector: np.ndarray
    distance: np.ndarray
    text: str


def read_structure(text: str) -> Any:
    """The ``pymatgen.core.Structure`` that a text describes.

    Args:
        text: CIF, POSCAR, or JSON as pymatgen writes it.

    Raises:
        ImportError: if pymatgen is not installed.
        ValueError: if it cannot be read, with the reason.
    """
    core = require_pymatgen()
    if not text.strip():
        raise ValueError("the structure is empty")
    cells = len(CELL.findall(text))
    if cells > 1:
        raise ValueError(f"the text holds {cells} crystals: give each a row of its own")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # Of a POSCAR that does not name its elements, others would be made up.
        warnings.filterwarnings("error", message=".*[Ff]alse names.*")
        try:
            if text.lstrip().startswith("{"):
                return core.Structure.from_dict(_numbers(json.loads(text)))
            kind = "cif" if re.search(r"^\s*(data_|_cell_)", text, re.MULTILINE) else "poscar"
            return core.Structure.from_str(text, fmt=kind)
        except Exception as error:  # pymatgen's parsers raise almost anything
            raise ValueError(unreadable(error)) from error


def unreadable(error: Exception) -> str:
    """What is said of a structure at which a parser has failed: in one line, of its error's."""
    lines = str(error).strip().splitlines()
    said = f"{type(error).__name__}: {lines[0][:120]}" if lines else type(error).__name__
    return f"the structure cannot be read: {said}"


def read_atoms(text: str, neighbours: Neighbours) -> Atoms:
    """The atoms of a crystal and their neighbours.

    Args:
        text: as for :func:`read_structure`.
        neighbours: which are joined.

    Raises:
        ImportError: if pymatgen is not installed.
        ValueError: if the structure cannot be read or is no crystal of whole atoms, with the
            reason.
    """
    structure = read_structure(text)
    if not len(structure):
        raise ValueError("the structure holds no atom")
    if not structure.is_ordered:
        site = next(site for site in structure if not site.is_ordered)
        raise ValueError(
            f"an atom is there in part ({site.species_string}): partial occupancies are not read"
        )
    numbers = np.array([int(getattr(site.specie, "Z", 0)) for site in structure])
    unknown = np.flatnonzero((numbers < 1) | (numbers > LARGEST))
    if unknown.size:
        wrong = structure[int(unknown[0])]
        raise ValueError(f"the structure holds {wrong.species_string}, no element up to Lr")
    if min(structure.lattice.abc) < CLOSEST or structure.volume / len(structure) < SMALLEST:
        raise ValueError(
            f"the cell of {len(structure)} atoms has {structure.volume:.3g} cubic Angstrom, and "
            "they overlap"
        )
    center, other, image, distance = structure.get_neighbor_list(neighbours.cutoff)
    nearest = distance.argmin() if len(distance) else None
    if nearest is not None and distance[nearest] < CLOSEST:
        raise ValueError(
            f"atoms {center[nearest]} and {other[nearest]} are {distance[nearest]:.2f} Angstrom "
            "apart"
        )
    kept = _nearest(center, distance, neighbours.max_neighbors)
    amounts = structure.composition.element_composition.get_el_amt_dict()
    return Atoms(
        numbers=numbers,
        pos=structure.cart_coords.astype(np.float32),
        cell=structure.lattice.matrix.astype(np.float32),
        source=other[kept],
        target=center[kept],
        vector=_vectors(structure, center, other, image)[kept].astype(np.float32),
        distance=distance[kept].astype(np.float32),
        text=same_formula(amounts),
    )


def crystal_graph(atoms: Atoms, neighbours: Neighbours) -> Data:
    """A crystal as a graph.

    Args:
        atoms: see :func:`read_atoms`.
        neighbours: how distances are written.

    Shapes:
        x: [N, P + 103], float32, see :func:`gia.data.elements.element_features`
        pos: [N, 3], in Angstrom
        cell: [1, 3, 3], the vectors of the lattice in its rows, in Angstrom
        edge_index: [2, E], from each neighbour; atoms that are neighbours in several cells have
            parallel edges
        edge_attr: [E, num_radial + num_angular]
    """
    edge_attr = neighbours.radial(torch.from_numpy(atoms.distance))
    edge_index = torch.from_numpy(np.stack([atoms.source, atoms.target])).long()
    if neighbours.num_angular:
        angular = neighbours.angular(torch.from_numpy(atoms.vector), edge_index[1])
        edge_attr = torch.cat([edge_attr, angular], 1)
    return Data(
        x=element_features()[torch.from_numpy(atoms.numbers) - 1],
        edge_index=edge_index,
        edge_attr=edge_attr,
        pos=torch.from_numpy(atoms.pos),
        cell=torch.from_numpy(atoms.cell).unsqueeze(0),
        num_nodes=len(atoms.numbers),
        text=atoms.text,
    )


def _vectors(
    structure: Any, center: np.ndarray, other: np.ndarray, image: np.ndarray
) -> np.ndarray:
    """From each atom to its neighbour, ``[E, 3]``, that of another cell at its place there."""
    pos = structure.cart_coords
    return pos[other] + image @ structure.lattice.matrix - pos[center]


def _nearest(center: np.ndarray, distance: np.ndarray, number: int) -> np.ndarray:
    """The places of the nearest neighbours of each atom, ordered by atom and distance."""
    order = np.lexsort((distance, center))
    sorted_center, sorted_distance = center[order], distance[order]
    start = np.searchsorted(sorted_center, sorted_center, side="left")
    last = np.minimum(start + number, np.searchsorted(sorted_center, sorted_center, "right")) - 1
    return order[sorted_distance <= sorted_distance[last] + TIE]


def _numbers(value: Any) -> Any:
    """JSON whose numbers a table has kept as text, with numbers."""
    if isinstance(value, dict):
        return {key: _numbers(of) for key, of in value.items()}
    if isinstance(value, list):
        return [_numbers(of) for of in value]
    if isinstance(value, str) and NUMBER.fullmatch(value):
        return float(value)
    return value
