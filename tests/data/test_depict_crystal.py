"""Where the atoms of a crystal are drawn."""

import numpy as np
import pytest
import torch

from gia.data.crystals import Neighbours, crystal_graph, read_atoms
from gia.data.depict import depiction_of
from gia.data.depict_crystal import depict_crystal

core = pytest.importorskip("pymatgen.core", reason="pymatgen is not installed")

LATTICE = core.Lattice.from_parameters(4, 5, 7, 80, 95, 110)


def graph_of(*sites, lattice=LATTICE):
    symbols, places = zip(*sites, strict=True)
    structure = core.Structure(lattice, symbols, places)
    neighbours = Neighbours()
    return crystal_graph(read_atoms(structure.to_json(), neighbours), neighbours)


def test_lengths_and_angles_are_those_of_the_cell():
    drawn = depict_crystal(graph_of(("Ti", [0.25, 0.5, 0.5]), ("O", [0.5, 0.25, 0.75])))
    sides = drawn.corners[:, 1] - drawn.corners[:, 0]
    a, b, c = sides[:3]
    assert [np.linalg.norm(side) for side in (a, b, c)] == pytest.approx([4, 5, 7], abs=1e-4)
    cosine = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
    assert np.degrees(np.arccos(cosine)) == pytest.approx(110, abs=1e-3)
    for side in (a, b, c):  # each four times
        assert sum(np.allclose(side, other, atol=1e-5) for other in sides) == 4
    origin = drawn.corners[0, 0]
    assert drawn.positions[0] - origin == pytest.approx(a / 4 + b / 2 + c / 2, abs=1e-5)
    assert drawn.symbols == ["Ti", "O"]
    assert drawn.radii.tolist() == [1.4, 0.6]
    assert len(drawn.copies) == 0


def test_atoms_outside_are_drawn_inside():
    graph = graph_of(("Ti", [0.25, 0.5, 0.5]))
    expected = depict_crystal(graph).positions
    moved = graph.clone()
    moved.pos = graph.pos + graph.cell[0, 0] - 2 * graph.cell[0, 2]
    assert depict_crystal(moved).positions == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("place", "copies"), [([0, 0, 0], 7), ([0.5, 0, -1e-6], 3), ([0.5, 0.5, 1 - 1e-6], 1)]
)
def test_atoms_on_sides_are_drawn_on_the_others_too(place, copies):
    drawn = depict_crystal(graph_of(("Cl", place), ("Cs", [0.5, 0.5, 0.5])))
    assert drawn.copied.tolist() == [0] * copies
    every = np.concatenate([drawn.positions[:1], drawn.copies])
    assert len(np.unique(every.round(4), axis=0)) == copies + 1


def test_what_has_no_cell_is_not_drawn():
    graph = graph_of(("Cl", [0, 0, 0]), ("Cs", [0.5, 0.5, 0.5]))
    assert depiction_of(graph, "crystal") is not None
    assert depiction_of(graph, "formula") is None
    del graph.cell
    assert depiction_of(graph, "crystal") is None


def test_an_element_without_a_measured_radius_has_one():
    drawn = depict_crystal(graph_of(("Xe", [0, 0, 0])))
    assert drawn.radii.tolist() == [1.0]
    assert torch.isfinite(torch.from_numpy(drawn.colours)).all()
