"""What ions are like: shells of d electrons, lone pairs, orbitals, pairs of atoms."""

import numpy as np
import pytest

pytest.importorskip("pymatgen", reason="pymatgen is not installed")
from gia.data.elements import element_numbers, fractions, read_formula
from gia.data.ions import IONS, _shells, ion_descriptors
from gia.data.oxidation import _electronegativities


@pytest.mark.filterwarnings("error")
def test_what_pymatgen_does_not_know_is_no_warning():
    _shells.cache_clear()
    _electronegativities.cache_clear()
    assert len(ion_descriptors({"He": 0.5, "No": 0.5})) == len(IONS)


def said_of(formula):
    return dict(zip(IONS, ion_descriptors(fractions(read_formula(formula))), strict=True))


@pytest.mark.parametrize(
    ("formula", "open_shell", "lone_pair"),
    [
        ("TiO2", 0, 0),  # Ti4+ is d0
        ("ZnO", 0, 0),  # Zn2+ is d10
        ("Fe2O3", 5, 0),  # Fe3+ is d5
        ("NiO", 2, 0),  # Ni2+ is d8
        ("MnO", 5, 0),
        ("PbO", 0, 1),  # Pb2+ keeps 6s2
        ("PbO2", 0, 0),
        ("SnS", 0, 1),
        ("NaCl", 0, 0),
    ],
)
def test_shells_of_cations(formula, open_shell, lone_pair):
    said = said_of(formula)
    assert (said["open_shell_max"], said["lone_pair_max"]) == (open_shell, lone_pair)


def test_descriptors_by_hand():
    said = said_of("Fe2O3")
    assert said["open_shell_mean"] == pytest.approx(0.4 * 5)
    assert said["electronegativity"] == pytest.approx(1.83**0.4 * 3.44**0.6)
    assert said["pair_polarity"] == pytest.approx(2 * 0.4 * 0.6 * (3.44 - 1.83))
    assert said["anion_share"] == pytest.approx(0.6)
    assert said["anion_electronegativity_min"] == pytest.approx(3.44)
    assert said["cation_electronegativity_max"] == pytest.approx(1.83)
    assert said["valence_electrons"] == pytest.approx(0.4 * 8 + 0.6 * 6)
    assert said["valence_electrons_per_anion"] == pytest.approx(6.8 / 0.6)
    # Of NIST's atomic energies: 4s of iron, 2p of oxygen.
    assert said["orbital_max"] == pytest.approx(-0.197978)
    assert said["anion_orbital_max"] == pytest.approx(-0.338381)
    assert said["orbital_mean"] == pytest.approx(-0.4 * 0.197978 - 0.6 * 0.338381)


def test_order_is_no_difference_and_every_element_has_finite_ones():
    assert said_of("Fe2O3") == pytest.approx(said_of("O6Fe4"))
    values = [ion_descriptors({symbol: 1.0}) for symbol in element_numbers()]
    assert np.isfinite(values).all()
    metal = said_of("Al")
    assert (metal["anion_share"], metal["valence_electrons_per_anion"]) == (0, 0)
