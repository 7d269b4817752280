"""Compositions: formulas of a table as graphs of their elements."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import Any

import torch
from torch_geometric.data import Data

from gia.data.cache import digest, package_version
from gia.data.datasets.table import TableDataset
from gia.data.elements import (
    element_features,
    element_numbers,
    fractions,
    read_formula,
    same_formula,
)
from gia.data.items import Items, Rejected
from gia.data.oxidation import KINDS, assigned
from gia.data.progress import progress

# Amounts below 1 that nearly add up to 1 are fractions; by how much they may differ from it after
# rounding, and before they are taken for stoichiometric numbers.
ROUNDED, FRACTIONS = 0.02, 0.3


class Compositions(TableDataset):
    """The formulas of a table: a node for each element of one, all joined with all.

    Args:
        path: the file, see :func:`gia.data.columns.read_columns`.
        formula_column: the column that holds the formulas.
        target_column: the column that holds the target, or a list of them.
        **options: of :class:`gia.data.datasets.TableDataset`.
    """

    in_parts = True

    def __init__(
        self,
        path: str | PathLike,
        formula_column: str = "formula",
        target_column: str | list[str] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(path, target_column, **options)
        self.formula_column = formula_column

    def load(self, labelled: bool = True) -> Items:
        """The formulas that can be read, in the file's order, with the others' row and reason.

        Raises:
            ImportError: if pymatgen is not installed.
            OSError: if the file cannot be read.
            ValueError: if it is no table or lacks a named column.
        """
        self.check(labelled, "formula_column")
        formulas = self.columns.cells(self.formula_column)
        names = self.columns.labels(self.name_column)
        items = Items(
            graphs=[], target_names=list(self.target_column), kind="formula", num_rows=len(formulas)
        )
        rows, unequal = enumerate(zip(formulas, names, self.targets(), strict=True)), []
        for row, (formula, name, cells) in progress(rows, len(formulas), "reading formulas"):
            try:
                amounts = read_formula(formula)
            except ValueError as error:
                items.rejected.append(Rejected(row, name, str(error)))
                continue
            total = sum(amounts.values())
            if max(amounts.values()) < 1 and ROUNDED < abs(total - 1) < FRACTIONS:
                unequal.append((row, total))
            data = composition_graph(amounts)
            data.name, data.row = name, row
            items.graphs.append(data)
            items.cells.append(cells)
        if unequal:
            row, total = unequal[0]
            items.notes.append(
                f"the fractions of {len(unequal):,} formulas do not add up to 1, the first are "
                f"those of row {row}, to {total:.3g}: each counts as its share of the sum"
            )
        return items

    def digest(self) -> str:
        """Of the table and the names of its columns."""
        options = [self.formula_column, self.target_column, self.name_column, self.missing]
        made_by = package_version("pymatgen")
        return digest("compositions and states", made_by, options, self.targets(), self.table())

    def with_file(self, path: str, **columns: Any) -> Compositions:
        """The formulas of another file, in the same columns or in others."""
        mine = {
            "formula_column": self.formula_column,
            "target_column": self.target_column,
            "aliases": self.aliases,
            **self.options,
        }
        return Compositions(path, **mine | columns)


def composition_graph(amounts: Mapping[str, float]) -> Data:
    """A composition as a graph: its elements, in alphabetical order, each joined with each.

    Args:
        amounts: of each element, by its symbol.

    Shapes:
        x: [N, 4 + P + 103], float32: the fraction, its logarithm, the oxidation states that leave
            least charge, of the common and of all known ones, over 4, the element's P properties,
            each scaled by mean and deviation over all elements, and which element it is
        edge_index: [2, N (N - 1)]
    """
    shares = fractions(amounts)
    numbers = torch.tensor([element_numbers()[symbol] for symbol in shares])
    share = torch.tensor(list(shares.values()))
    charges = [torch.from_numpy(assigned(shares, kind).states) / 4 for kind in KINDS]
    columns = torch.stack([share, share.log(), *charges], 1).float()
    x = torch.cat([columns, element_features()[numbers - 1]], 1)
    nodes = torch.arange(len(shares))
    pairs = torch.cartesian_prod(nodes, nodes)
    return Data(
        x=x,
        edge_index=pairs[pairs[:, 0] != pairs[:, 1]].T.contiguous(),
        num_nodes=len(shares),
        text=same_formula(amounts),
    )
