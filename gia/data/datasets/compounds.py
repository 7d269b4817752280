"""Measured melting and boiling points of compounds, out of the PyPI package chemicals."""

from __future__ import annotations

from functools import cached_property
from importlib.metadata import PackageNotFoundError, distribution
from typing import Any

from gia.data.cache import digest
from gia.data.columns import read_columns
from gia.data.datasets.base import Dataset
from gia.data.datasets.molecules import Molecules, molecule_items
from gia.data.files import read_text
from gia.data.items import Items

PACKAGE = "chemicals"
# The one measured collection of each property that the package carries for organic compounds; its
# further tables are smaller or, like Joback's, predictions, which a model must not be trained on.
PROPERTIES = {
    "melting_point": ("OpenNotebook Melting Points.tsv", "Tm", "melting point (K)"),
    "boiling_point": ("Yaws Boiling Points.tsv", "Tb", "boiling point (K)"),
}
# Which compound is which: CAS number and SMILES are fields 1 and 4. The small table has the common
# compounds, the large one the others; no compound is in both.
STRUCTURES = ("chemical identifiers pubchem small.tsv", "chemical identifiers pubchem large.tsv")
COLUMNS = ("CAS", "smiles")


class Compounds(Dataset):
    """Compounds with a measured property, in kelvin.

    ``melting_point``: the 11,549 of the Open Notebook collection (medians of several measurements),
    11,384 of them with a structure. ``boiling_point``: the 13,461 of Yaws' handbook, 11,086 of them
    with a structure. They are read from the files of the installed package `chemicals
    <https://github.com/CalebBell/chemicals>`_ without importing it.

    Compounds without a structure are left out and counted. The package's SMILES know no
    stereochemistry, but none of these structures occurs twice; if one did, both compounds would
    be kept, each with what was measured of it, on the same side of every split.

    Args:
        property: ``"melting_point"`` or ``"boiling_point"``.
        **options: of :class:`gia.data.datasets.Dataset`.

    Raises:
        ValueError: if there is no such property.
    """

    def __init__(self, property: str, **options: Any) -> None:
        super().__init__(**options)
        if property not in PROPERTIES:
            known = ", ".join(PROPERTIES)
            raise ValueError(f"data.property must be one of {known}, got {property!r}")
        self.property = property

    def load(self, labelled: bool = True) -> Items:
        """The compounds with a structure, in the table's order, named by CAS number.

        Raises:
            ImportError: if chemicals or rdkit is not installed.
        """
        rows, missing = self._rows
        numbers, smiles, values = zip(*rows, strict=True)
        cells = [[value] for value in values]
        items = molecule_items(smiles, numbers, cells, [PROPERTIES[self.property][2]])
        items.left_out = {"compounds without a structure": missing}
        return items

    def digest(self) -> str:
        """Of the numbers and the structures."""
        return digest("compounds", self.property, self._rows)

    def table(self) -> tuple[list[str], list[dict[str, str]]]:
        """CAS number, SMILES and property of every compound with a structure."""
        columns = [*COLUMNS, PROPERTIES[self.property][2]]
        return columns, [dict(zip(columns, row, strict=True)) for row in self._rows[0]]

    def with_file(self, path: str, **columns: Any) -> Molecules:
        """Molecules of a table, by default out of its column ``smiles``."""
        mine = {"smiles_column": "smiles", "target_column": PROPERTIES[self.property][2]}
        mine |= self.options
        return Molecules(path, **mine | columns)

    @cached_property
    def _rows(self) -> tuple[list[tuple[str, str, str]], int]:
        """CAS number, SMILES and value of each compound; how many lack a structure."""
        file, column, _ = PROPERTIES[self.property]
        table = read_columns(_locate(f"Phase Change/{file}"))
        values = list(zip(table.cells(COLUMNS[0]), table.cells(column), strict=True))
        known = structures()
        found = [(n, known[n], value) for n, value in values if n in known]
        return found, len(values) - len(found)


def structures() -> dict[str, str]:
    """The SMILES of each CAS number that has one.

    Raises:
        ImportError: if chemicals is not installed.
    """
    found = {}
    for file in STRUCTURES:
        for line in read_text(_locate(f"Identifiers/{file}")).splitlines():
            fields = line.split("\t", 5)
            if fields[4]:
                found[fields[1]] = fields[4]
    return found


def _locate(file: str) -> Any:
    try:
        return distribution(PACKAGE).locate_file(f"{PACKAGE}/{file}")
    except PackageNotFoundError as error:
        raise ImportError(
            f"these compounds come in the package {PACKAGE}, which is not installed: "
            "pip install gia[chem], or use molecules of your own with data=molecules data.path=..."
        ) from error
