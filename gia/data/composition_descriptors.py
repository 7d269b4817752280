"""What is known of a composition as numbers, beside its graph."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gia.data.elements import (
    LARGEST,
    element_numbers,
    element_properties,
    fractions,
    read_formula,
)
from gia.data.ions import IONS, ion_descriptors
from gia.data.oxidation import CHARGES, charge_descriptors
from gia.data.progress import progress

NORMS = (2, 3, 5, 7, 10)
STATISTICS = ("mean", "deviation", "min", "max", "range", "mode")


def composition_descriptors(formulas: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """Statistics of the properties of a formula's elements, as `Magpie
    <https://doi.org/10.1038/npjcompumats.2016.28>`_ has them, of pymatgen's properties.

    Mean and mean deviation weighted by the fractions, the least, the largest and their range, and
    that of the most frequent element; norms of the fractions, the number of elements, and the
    fraction of each; and, which Magpie has not in this form, what charge oxidation states leave,
    and what the ions are like, see :func:`gia.data.oxidation.charge_descriptors` and
    :func:`gia.data.ions.ion_descriptors`.

    Args:
        formulas: n of them.

    Returns:
        The names of the F descriptors, and ``[n, F]``, float64.

    Raises:
        ImportError: if pymatgen is not installed.
        ValueError: if a text is no formula.
    """
    names, table = element_properties()
    numbers = element_numbers()
    shares = np.zeros((len(formulas), LARGEST))
    ions = np.zeros((len(formulas), len(CHARGES) + len(IONS)))
    for row, formula in enumerate(progress(formulas, len(formulas), "computing descriptors")):
        known = fractions(read_formula(formula))
        for symbol, share in known.items():
            shares[row, numbers[symbol] - 1] = share
        ions[row] = [*charge_descriptors(known), *ion_descriptors(known)]
    parts = [_statistics(shares, column) for column in table.T]
    found = [f"{name}_{statistic}" for name in names for statistic in STATISTICS]
    norms = [(shares**p).sum(1) ** (1 / p) for p in NORMS]
    found += ["num_elements", *(f"norm_{p}" for p in NORMS), *numbers]
    count = (shares > 0).sum(1, keepdims=True)
    return [*found, *CHARGES, *IONS], np.hstack([*parts, count, np.stack(norms, 1), shares, ions])


def _statistics(shares: np.ndarray, values: np.ndarray) -> np.ndarray:
    """:data:`STATISTICS` of a property, ``[n, 6]``."""
    present = shares > 0
    mean = shares @ values
    deviation = (shares * np.abs(values - mean[:, None])).sum(1)
    low = np.where(present, values, np.inf).min(1)
    high = np.where(present, values, -np.inf).max(1)
    mode = values[shares.argmax(1)]
    return np.stack([mean, deviation, low, high, high - low, mode], 1)
