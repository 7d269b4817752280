"""What the ions of a formula are like, once each element has an oxidation state."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

import numpy as np

from gia.data.elements import element_numbers, outer_electrons, require_pymatgen
from gia.data.oxidation import assigned, electronegativity

IONS = (
    *("open_shell_max", "open_shell_mean", "lone_pair_max", "lone_pair_mean"),
    *("orbital_max", "orbital_min", "orbital_mean", "anion_orbital_mean", "cation_orbital_mean"),
    *("cation_orbital_min", "anion_orbital_max", "electronegativity", "pair_polarity"),
    *("anion_share", "anion_electronegativity_min", "cation_electronegativity_max"),
    *("valence_electrons", "valence_electrons_per_anion"),
)
D_SHELL = 10
ORBITAL = -0.2  # Hartree, where pymatgen knows no orbital


class Shell(NamedTuple):
    """The outer electrons of an element.

    Attributes:
        electrons: outside of the noble gas before, of each kind of shell.
        orbital: the energy of the highest one of the atom, in Hartree.
        transition: whether it is a transition metal.
    """

    electrons: dict[str, int]
    orbital: float
    transition: bool


def ion_descriptors(shares: Mapping[str, float]) -> list[float]:
    """What tells insulators from metals beside the charge that is left: :data:`IONS`.

    With the common oxidation states that :func:`gia.data.oxidation.assigned` finds:
    how far the d shells of the cations are from empty or full (``open_shell``), whether cations
    keep a pair of s electrons (``lone_pair``), the energies of the highest atomic orbitals, the
    geometric mean of the electronegativities and their mean difference over all pairs of atoms
    (``pair_polarity``), and the electrons of s, p and open d shells. A maximum or a mean over ions
    that there are none of is 0.

    Args:
        shares: of the atoms, of each element by its symbol.
    """
    state, _ = assigned(shares)
    share, drawn = np.array(list(shares.values())), electronegativity(shares)
    shells = [_shells()[symbol] for symbol in shares]
    open_d = np.array([_open_d(shell, c) for shell, c in zip(shells, state, strict=True)])
    lone = np.array([_lone_pair(shell, c) for shell, c in zip(shells, state, strict=True)])
    orbital = np.array([shell.orbital for shell in shells])
    valence = float(share @ [_valence(shell) for shell in shells])
    cations, anions = state > 0, state < 0
    of_anions = float(share[anions].sum())
    pairs = np.abs(drawn[:, None] - drawn)
    return [
        *(open_d.max(), share @ open_d, lone.max(), share @ lone),
        *(orbital.max(), orbital.min(), share @ orbital),
        _mean(orbital, share, anions),
        _mean(orbital, share, cations),
        orbital[cations].min() if cations.any() else 0.0,
        orbital[anions].max() if anions.any() else 0.0,
        np.exp(share @ np.log(drawn)),
        share @ pairs @ share,
        of_anions,
        drawn[anions].min() if anions.any() else 0.0,
        drawn[cations].max() if cations.any() else 0.0,
        valence,
        valence / of_anions if of_anions else 0.0,
    ]


def _open_d(shell: Shell, state: int) -> int:
    """How many electrons the d shell of a cation is away from empty or from full."""
    if state <= 0 or not shell.transition:
        return 0
    counted = sum(n for kind, n in shell.electrons.items() if kind != "f" or n < 14)
    left = min(max(counted - int(state), 0), D_SHELL)
    return min(left, D_SHELL - left)


def _lone_pair(shell: Shell, state: int) -> bool:
    """Whether a cation of the p block keeps its s electrons, as lead with 2."""
    s, p = shell.electrons["s"], shell.electrons["p"]
    return bool(state > 0 and p > 0 and s + p - state >= 2)


def _valence(shell: Shell) -> int:
    """The electrons of s, of p, and of a d shell that is not full; those of f are core here."""
    d = shell.electrons["d"]
    return shell.electrons["s"] + shell.electrons["p"] + (d if d < D_SHELL else 0)


def _mean(values: np.ndarray, share: np.ndarray, ions: np.ndarray) -> float:
    return float(np.average(values[ions], weights=share[ions])) if ions.any() else 0.0


@cache
def _shells() -> dict[str, Shell]:
    element = require_pymatgen().Element
    found = {}
    with warnings.catch_warnings():  # of what is not known
        warnings.simplefilter("ignore")
        for symbol in element_numbers():
            one = element(symbol)
            orbital = max((one.atomic_orbitals or {}).values(), default=ORBITAL)
            found[symbol] = Shell(outer_electrons(one), float(orbital), one.is_transition_metal)
    return found
