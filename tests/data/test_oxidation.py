"""Oxidation states of a formula's elements, and the charge that they leave."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("pymatgen", reason="pymatgen is not installed")
from gia.data import oxidation
from gia.data.elements import element_numbers, fractions, read_formula
from gia.data.oxidation import CHARGES, assigned, charge_descriptors, oxidation_states


@pytest.mark.parametrize(
    ("formula", "states", "left"),
    [
        ("NaCl", {"Na": 1, "Cl": -1}, 0),
        ("Fe2O3", {"Fe": 3, "O": -2}, 0),
        ("FeO", {"Fe": 2, "O": -2}, 0),
        ("Fe3O4", {"Fe": 3, "O": -2}, 1 / 7),  # all iron alike
        ("GaAs", {"Ga": 3, "As": -3}, 0),
        ("CuFeS2", {"Cu": 2, "Fe": 2, "S": -2}, 0),
        ("NiAl", {"Ni": 2, "Al": 3}, 2.5),
        ("XeF6", {"Xe": 6, "F": -1}, 0),
        ("He", {"He": 0}, 0),
    ],
)
def test_states_that_leave_least_charge(formula, states, left):
    shares = fractions(read_formula(formula))
    found = assigned(shares)
    assert dict(zip(shares, found.states.tolist(), strict=True)) == states
    assert found.left == pytest.approx(left, abs=1e-5)


def test_rare_states_are_known_too():
    assert oxidation_states("common")["Na"] == (1,)
    assert oxidation_states("known")["Na"] == (-1, 1)
    assert oxidation_states("known")["He"] == (0,)
    assert set(oxidation_states("common")) == set(element_numbers())


def test_the_more_electronegative_element_takes_the_electrons():
    """Carbon and nitrogen may each be the cation: carbon is."""
    shares = fractions(read_formula("C3N4"))
    assert dict(zip(shares, assigned(shares).states.tolist(), strict=True)) == {"C": 4, "N": -3}


AMOUNTS = st.dictionaries(
    st.sampled_from(["H", "C", "N", "O", "Fe", "Mn", "S", "Cl", "W"]), st.integers(1, 9), min_size=1
)


@given(amounts=AMOUNTS)
@settings(max_examples=40, deadline=None)
def test_nothing_leaves_less_charge_than_what_is_found(amounts):
    """Against all assignments, where they are few, and whatever is held back where they are not."""
    shares = fractions(amounts)
    found, share = assigned(shares), np.array(list(shares.values()))
    assert found.left == pytest.approx(abs(found.states @ share), abs=1e-4)
    options = [oxidation_states("common")[symbol] for symbol in shares]
    assert all(state in known for state, known in zip(found.states, options, strict=True))
    if np.prod([len(known) for known in options]) <= 20_000:
        every = np.array(list(product(*options)))
        assert found.left <= np.abs(every @ share).min() + oxidation.SAME


def test_many_elements_are_looked_at_in_part(monkeypatch):
    formula = fractions(read_formula("Fe4Mn3W2C2N2S4O20H3Cl"))
    whole = assigned(formula)
    monkeypatch.setattr(oxidation, "MOST", 16)
    part = assigned(formula)
    assert whole.left <= part.left < whole.left + 0.2


STEEL = "Fe0.620C0.000953Mn0.000521Si0.00102Cr0.00011Ni0.192Mo0.0176V0.000112Co0.146Al0.00318"


def test_states_of_alloys_are_no_chance():
    """Among thousands of rare states some are always near: the common ones stand for them."""
    shares = fractions(read_formula(STEEL))
    found = assigned(shares, "known")
    assert found.states.tolist() == assigned(shares).states.tolist()
    generator = np.random.default_rng(0)
    for _ in range(10):
        near = {name: share * generator.normal(1, 1e-4) for name, share in shares.items()}
        assert assigned(near, "known").states.tolist() == found.states.tolist()


@given(amounts=AMOUNTS, times=st.sampled_from([3, 7, 0.01, 1 / 3]))
@settings(max_examples=40, deadline=None)
def test_multiples_of_a_formula_are_the_same(amounts, times):
    several = {symbol: amount * times for symbol, amount in amounts.items()}
    for kind in ("common", "known"):
        one, other = (assigned(fractions(formula), kind) for formula in (amounts, several))
        assert one.states.tolist() == other.states.tolist()


def test_descriptors_by_hand():
    said = dict(zip(CHARGES, charge_descriptors(fractions(read_formula("Fe2O3"))), strict=True))
    assert said["common_charge_left"] == pytest.approx(0)
    assert said["common_cation_charge"] == pytest.approx(0.4 * 3)
    assert said["common_polarity"] == pytest.approx(3.44 - 1.83)
    assert (said["common_highest_state"], said["known_lowest_state"]) == (3, -2)
    metal = dict(zip(CHARGES, charge_descriptors({"Al": 1.0}), strict=True))
    assert (metal["common_charge_left"], metal["common_polarity"]) == (3, 0)
