"""Structures of compounds without a measurement, out of the PyPI package chemicals."""

from __future__ import annotations

from functools import cached_property
from os import PathLike
from typing import Any

from gia.data.cache import digest, text_digest
from gia.data.columns import read_columns
from gia.data.computed_targets import KINDS, compute_targets
from gia.data.datasets.base import Dataset, check_choice
from gia.data.datasets.compounds import structures
from gia.data.datasets.molecules import Molecules, molecule_items
from gia.data.items import Items
from gia.data.report import EACH

HELD_OUT = ("val", "test")


class Structures(Dataset):
    """The 73,000 structures that the package `chemicals <https://github.com/CalebBell/chemicals>`_
    knows by CAS number, to learn from before there is a measurement.

    Args:
        computed_targets: ``"rdkit_2d"``, descriptors as targets for a regression; None for none,
            as a model has it that learns from hidden nodes.
        number: how many, drawn evenly from all; None takes all.
        max_atoms: larger ones are left out and counted.
        leave_out_file: ``splits.csv`` of another run, whose validation and test molecules are left
            out, so that nothing is learned of them.
        **options: of :class:`gia.data.datasets.Dataset`.

    Raises:
        ValueError: if an option is out of range.
    """

    def __init__(
        self,
        computed_targets: str | None = None,
        number: int | None = None,
        max_atoms: int = 100,
        leave_out_file: str | PathLike | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        check_choice("computed_targets", computed_targets, (*KINDS, None))
        for option, value in (("number", number), ("max_atoms", max_atoms)):
            if value is not None and value < 1:
                raise ValueError(f"data.{option} must be at least 1, got {value}")
        self.computed_targets, self.number, self.max_atoms = computed_targets, number, max_atoms
        self.leave_out_file = leave_out_file

    def load(self, labelled: bool = True) -> Items:
        """The structures that rdkit accepts, named by CAS number.

        Raises:
            ImportError: if chemicals or rdkit is not installed.
            ValueError: if a regression has no targets to compute.
        """
        regression = self.target_type == "regression"
        if regression and self.computed_targets is None:
            raise ValueError(
                "nothing is measured of these structures: give data.computed_targets=rdkit_2d, or "
                "task=masked, which needs no targets"
            )
        numbers, smiles = zip(*self._rows, strict=True)
        items = molecule_items(smiles, numbers, [[]] * len(smiles), [])
        unlike = [data for data in items.graphs if text_digest(data.text) not in self._held_out]
        small = [data for data in unlike if data.num_nodes <= self.max_atoms]
        lost = {
            f"held out in {self.leave_out_file}": len(items.graphs) - len(unlike),
            f"of more than {self.max_atoms} atoms": len(unlike) - len(small),
        }
        items.left_out = {reason: number for reason, number in lost.items() if number}
        items.graphs, items.cells = small, []
        return compute_targets(items, self.computed_targets) if regression else items

    def digest(self) -> str:
        """Of the structures and the options."""
        targets = self.computed_targets if self.target_type == "regression" else None
        return digest("structures", targets, self.max_atoms, sorted(self._held_out), self._rows)

    def table(self) -> tuple[list[str], list[dict[str, str]]]:
        """CAS number and SMILES of every structure."""
        return ["CAS", "smiles"], [{"CAS": n, "smiles": smiles} for n, smiles in self._rows]

    def with_file(self, path: str, **columns: Any) -> Molecules:
        """Molecules of a table, by default out of its column ``smiles``."""
        return Molecules(path, **{"smiles_column": "smiles"} | self.options | columns)

    @cached_property
    def _rows(self) -> list[tuple[str, str]]:
        rows = list(structures().items())
        if self.number is None or self.number >= len(rows):
            return rows
        return [rows[i * len(rows) // self.number] for i in range(self.number)]

    @cached_property
    def _held_out(self) -> set[str]:
        """Digests of the molecules that another run is measured on."""
        if self.leave_out_file is None:
            return set()
        table = read_columns(self.leave_out_file)
        if not {"split", "sha256"} <= set(table.names):
            raise ValueError(
                f"data.leave_out_file={self.leave_out_file} must be splits.csv of a run, which "
                f"has columns split and sha256; this has {', '.join(table.names)}"
            )
        # Of several molecules a row, each is held out.
        known = table.cells(EACH if EACH in table.names else "sha256")
        pairs = zip(table.cells("split"), known, strict=True)
        return {value for part, cell in pairs if part in HELD_OUT for value in cell.split()}
