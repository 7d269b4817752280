"""Oxidation states that the elements of a formula may have, and how much charge they leave."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

import numpy as np

from gia.data.elements import element_numbers, require_pymatgen

KINDS = ("common", "known")  # of an element's oxidation states
STATISTICS = ("charge_left", "cation_charge", "polarity", "highest_state", "lowest_state")
CHARGES = tuple(f"{kind}_{statistic}" for kind in KINDS for statistic in STATISTICS)
MOST = 4096  # assignments of states that are held at once
DIGITS = 6  # that shares are told apart by
SAME = 1e-5  # charges of an atom that differ by less are the same
UNKNOWN = 1.5  # Pauling's electronegativity, where there is none


class Assignment(NamedTuple):
    """One oxidation state for each element.

    Attributes:
        states (array): ``[N]``, in the order of the shares.
        left (float): The charge that an atom is left with in the mean, not negative.
    """

    states: np.ndarray
    left: float


def assigned(shares: Mapping[str, float], kind: str = "common") -> Assignment:
    """The oxidation states that come nearest to no charge, all atoms of an element alike.

    Of several, that in which the more electronegative elements take the electrons. What is left
    is next to 0 where a formula can be a salt or an oxide of one valence an element, and large
    where all elements are metals. Where there are more than :data:`MOST` assignments, as in alloys
    of many elements, of rare states some one is always near, by chance: common ones stand for
    them, and of these those are looked at that can still be neutral.

    Args:
        shares: of the atoms, of each element by its symbol.
        kind: ``"common"``, or ``"known"`` for rare states too.
    """
    known = [oxidation_states(kind)[symbol] for symbol in shares]
    if kind == "known" and math.prod(map(len, known)) > MOST:
        return assigned(shares, "common")
    share = np.array(list(shares.values())).round(DIGITS)  # the same of all multiples of a formula
    lowest = np.array([min(states) for states in known]) * share
    highest = np.array([max(states) for states in known]) * share
    states, charge = np.zeros((1, 0), dtype=int), np.zeros(1)
    for place, options in enumerate(known):
        states = np.hstack(
            [np.repeat(states, len(options), 0), np.tile(options, len(states))[:, None]]
        )
        charge = (charge[:, None] + share[place] * np.array(options)).ravel()
        if len(charge) > MOST:
            rest = slice(place + 1, None)
            too_much = np.maximum(charge + lowest[rest].sum(), -charge - highest[rest].sum())
            kept = np.sort(too_much.clip(0).argsort(kind="stable")[:MOST])
            states, charge = states[kept], charge[kept]
    left = np.abs(charge)
    near = np.flatnonzero(left <= left.min() + SAME)
    drawn = states[near] @ (share * electronegativity(shares))
    best = near[drawn.argmin()]
    return Assignment(states[best], float(left[best]))


def charge_descriptors(shares: Mapping[str, float]) -> list[float]:
    """What :func:`assigned` says of a formula, for both kinds of states: :data:`CHARGES`.

    The charge that an atom is left with, the charge of the cations, both in the mean of all atoms,
    how much more electronegative the anions are than the cations, the highest and the lowest state.

    Args:
        shares: of the atoms, of each element by its symbol.
    """
    return [value for kind in KINDS for value in _described(shares, kind)]


@cache
def oxidation_states(kind: str) -> dict[str, tuple[int, ...]]:
    """The oxidation states of each element that pymatgen knows, 0 where it knows none.

    Raises:
        ImportError: if pymatgen is not installed.
    """
    element = require_pymatgen().Element
    found = {}
    for symbol in element_numbers():
        one = element(symbol)
        common, every = one.common_oxidation_states, one.oxidation_states
        states = common or every if kind == "common" else (*common, *every)
        found[symbol] = tuple(sorted({int(state) for state in states})) or (0,)
    return found


def _described(shares: Mapping[str, float], kind: str) -> list[float]:
    states, left = assigned(shares, kind)
    share, drawn = np.array(list(shares.values())), electronegativity(shares)
    cations, anions = states > 0, states < 0
    polarity = 0.0
    if cations.any() and anions.any():
        means = [np.average(drawn[ions], weights=share[ions]) for ions in (anions, cations)]
        polarity = means[0] - means[1]
    charge = (share * states)[cations].sum()
    return [left, charge, polarity, states.max(), states.min()]


def electronegativity(shares: Mapping[str, float]) -> np.ndarray:
    """Pauling's, of each element, ``[N]``."""
    return np.array([_electronegativities()[symbol] for symbol in shares])


@cache
def _electronegativities() -> dict[str, float]:
    element = require_pymatgen().Element
    with warnings.catch_warnings():  # of what is not known
        warnings.simplefilter("ignore")
        known = {symbol: float(element(symbol).X) for symbol in element_numbers()}
    return {symbol: UNKNOWN if math.isnan(value) else value for symbol, value in known.items()}
