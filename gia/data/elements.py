"""Chemical elements: what they are made of, as numbers, and formulas of them."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gia.data.optional import require

LARGEST = 103  # lawrencium: of heavier elements next to nothing is measured
SHELLS = {"s": 2, "p": 6, "d": 10, "f": 14}
# Of pymatgen's elements, those that are known of nearly all.
PROPERTIES = (
    *("Z", "X", "atomic_mass", "mendeleev_no", "row", "group", "atomic_radius"),
    *("van_der_waals_radius", "average_ionic_radius", "electron_affinity", "ionization_energy"),
    *("melting_point", "boiling_point", "molar_volume"),
    *("max_oxidation_state", "min_oxidation_state"),
)
# Where pymatgen says 0 of what it does not know.
NEVER_ZERO = ("average_ionic_radius",)
# What spans many powers of ten.
LOGARITHMS = ("thermal_conductivity", "electrical_resistivity")
FLAGS = ("is_metal", "is_metalloid", "is_transition_metal", "is_rare_earth")
SYMBOL = re.compile(r"[A-Z][a-z]?")
ISOTOPES = {"D": "H", "T": "H"}
OTHERS = re.compile(r"[^A-Za-z0-9.()\[\]{}\s]")
HYDRATE = re.compile(r"[1-9]\d*\.\d*H2O")


def require_pymatgen() -> Any:
    """``pymatgen.core``.

    Raises:
        ImportError: if it is not installed, saying how to.
    """
    return require("pymatgen.core", "formulas and crystals take pymatgen", "materials")


def read_formula(formula: str) -> dict[str, float]:
    """The amount of each element in a formula, as it is written: ``{"Fe": 2.0, "O": 3.0}``.

    Args:
        formula: such as ``Fe2O3``, ``Ag(AuS)2`` or ``Fe0.62C0.001Ni0.379``.

    Raises:
        ImportError: if pymatgen is not installed.
        ValueError: if it cannot be read, or holds what is no element.
    """
    core = require_pymatgen()
    if not formula.strip():
        raise ValueError("the formula is empty")
    if formula.strip() == "NaN":
        raise ValueError("the formula is missing (NaN)")
    odd = OTHERS.search(formula)
    if odd:
        raise ValueError(f"{formula!r} cannot be read as a formula: it holds {odd[0]!r}")
    if HYDRATE.search(formula):
        raise ValueError(
            f"{formula!r} may be a hydrate or an amount with a decimal point: write the water as "
            "in CuSO4(H2O)5"
        )
    try:
        found = core.Composition(formula).get_el_amt_dict()
    except (ValueError, TypeError, KeyError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"{formula!r} cannot be read as a formula: {reason}") from error
    numbers = element_numbers()
    unknown = [symbol for symbol in found if symbol not in numbers]
    if unknown:
        raise ValueError(f"{formula!r} holds {', '.join(unknown)}, which is no element up to Lr")
    written = {ISOTOPES.get(symbol, symbol) for symbol in SYMBOL.findall(formula)}
    if written - found.keys() or not all(map(math.isfinite, found.values())):
        nothing = ", ".join(sorted(written - found.keys())) or "any element"
        raise ValueError(f"{formula!r} holds no amount of {nothing}")
    return {symbol: float(amount) for symbol, amount in found.items()}


def fractions(amounts: Mapping[str, float]) -> dict[str, float]:
    """The share of the atoms that each element has, by its symbol in alphabetical order."""
    total = sum(amounts.values())
    return {symbol: amounts[symbol] / total for symbol in sorted(amounts)}


def same_formula(amounts: Mapping[str, float]) -> str:
    """What is the same for the same composition, however it is written: ``Fe0.4O0.6``."""
    shares = fractions(amounts).items()
    return "".join(f"{symbol}{f'{share:.8f}'.rstrip('0').rstrip('.')}" for symbol, share in shares)


@cache
def element_numbers() -> dict[str, int]:
    """The number of each element up to :data:`LARGEST` by its symbol."""
    element = require_pymatgen().Element
    return {element.from_Z(number).symbol: number for number in range(1, LARGEST + 1)}


@cache
def element_properties() -> tuple[tuple[str, ...], np.ndarray]:
    """What pymatgen knows of the elements, and the electrons outside of their noble gas.

    What is not known of an element is the mean of the others.

    Returns:
        The names of the P properties, and ``[LARGEST, P]``, of element z in row z - 1.

    Raises:
        ImportError: if pymatgen is not installed.
    """
    element = require_pymatgen().Element
    columns: dict[str, Callable[[Any], float]] = {
        name: lambda of, name=name: float(getattr(of, name)) for name in (*PROPERTIES, *FLAGS)
    }
    columns |= {
        name: lambda of, name=name: float(getattr(of, name)) or math.nan for name in NEVER_ZERO
    }
    columns |= {
        f"log_{name}": lambda of, name=name: math.log10(float(getattr(of, name)))
        for name in LOGARITHMS
    }
    for shell, room in SHELLS.items():
        columns[f"{shell}_electrons"] = lambda of, shell=shell: float(outer_electrons(of)[shell])
        columns[f"{shell}_unfilled"] = lambda of, shell=shell, room=room: float(
            -outer_electrons(of)[shell] % room
        )
    elements = [element.from_Z(number) for number in range(1, LARGEST + 1)]
    with warnings.catch_warnings():  # of what is not known
        warnings.simplefilter("ignore")
        values = np.array([[_known(read, of) for read in columns.values()] for of in elements])
    means = np.nanmean(values, 0)
    return tuple(columns), np.where(np.isnan(values), means, values)


@cache
def element_features() -> Tensor:
    """What a node that is an element has: its P properties, each scaled by mean and deviation over
    all elements, and which element it is, ``[LARGEST, P + LARGEST]``, of element z in row z - 1."""
    _, table = element_properties()
    spread = table.std(0)
    scaled = (table - table.mean(0)) / np.where(spread > 0, spread, 1)
    return torch.cat([torch.from_numpy(scaled), torch.eye(LARGEST)], 1).float()


def _known(read: Callable[[Any], float], of: Any) -> float:
    try:
        value = read(of)
    except (TypeError, ValueError, AttributeError):  # pymatgen has none
        return math.nan
    return value if math.isfinite(value) else math.nan


def outer_electrons(of: Any) -> dict[str, int]:
    """The electrons of each kind of shell outside of the noble gas before an element."""
    electrons = dict.fromkeys(SHELLS, 0)
    for _, shell, number in of.full_electronic_structure:
        electrons[shell] += number
    core = next((gas for gas in (86, 54, 36, 18, 10, 2) if gas < of.Z), None)
    if core is not None:
        for _, shell, number in type(of).from_Z(core).full_electronic_structure:
            electrons[shell] -= number
    return electrons
