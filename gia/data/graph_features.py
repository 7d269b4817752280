"""Features of whole graphs, beside those of their nodes and edges: ``graph_features [1, F]``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from os import PathLike
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Data

from gia.data.alphabets import likely_kind
from gia.data.cache import digest, processed
from gia.data.components import of_components
from gia.data.composition_descriptors import composition_descriptors
from gia.data.descriptors import peptide_descriptors, rdkit_descriptors
from gia.data.feature_tables import FeatureTable, in_single, of_columns, of_file
from gia.data.fingerprints import morgan_fingerprints
from gia.data.items import Items, Rejected
from gia.data.view import View

ATTRIBUTE = "graph_features"
# What there is, and of what it can be computed.
OF_TEXTS = {
    "rdkit_2d": ("smiles",),
    "morgan": ("smiles",),
    "peptide": ("sequence",),
    "elements": ("formula", "crystal"),
}
KINDS = (*OF_TEXTS, "columns", "file")
ITEMS = {
    "smiles": "molecules",
    "sequence": "sequences",
    "formula": "compositions",
    "crystal": "crystals",
}
NAMED = 3  # features of a row that a note names


@dataclass(frozen=True)
class FeatureReader:
    """Gives the items of a dataset their features, behind those that they have already.

    Attributes:
        kinds: some of :data:`KINDS`. ``"rdkit_2d"`` and ``"peptide"`` are those of
            :mod:`gia.data.descriptors`, ``"morgan"`` fingerprints of 2,048 bits, ``"elements"``
            :mod:`gia.data.composition_descriptors`; ``"columns"`` of the dataset's table,
            ``"file"`` of another one.
        columns: names of columns of numbers, for ``"columns"``.
        path: a table, or an ``.npz`` of arrays, with a row for each row of the data, for
            ``"file"``.

    Raises:
        ValueError: if there is no such kind, or one lacks its columns or its file.
    """

    kinds: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    path: str | PathLike | None = None

    def __post_init__(self) -> None:
        for kind in self.kinds:
            if kind not in KINDS:
                raise ValueError(
                    f"data.features must be some of {', '.join(KINDS)}, got {kind!r}"
                    f"{': their names are for data.feature_columns' if kind else ''}"
                )
        for kind, option, value in (
            ("columns", "feature_columns", self.columns),
            ("file", "features_path", self.path),
        ):
            if (kind in self.kinds) != bool(value):
                raise ValueError(
                    f"data.features={kind} and data.{option}=... belong together: give both, or "
                    "neither"
                )

    def __call__(self, items: Items, dataset: Any, keep: bool = True) -> Items:
        """The items with their features, and what is to be said of these.

        Args:
            items: as they were read; their graphs are changed.
            dataset: where they come from.
            keep: keep descriptors in ``$GIA_CACHE/processed``.

        Raises:
            OSError, ImportError: if the features cannot be read or computed.
            ValueError: if they do not fit the items.
        """
        graphs = items.graphs.graphs if isinstance(items.graphs, View) else items.graphs
        brought = len(graphs) and graphs[0].get(ATTRIBUTE) is not None
        if not len(graphs) or not (self.kinds or brought):
            return items
        check_level(items.level)
        tables = [_brought(graphs)] if brought else []
        tables += [self._table(kind, graphs, items, dataset, keep) for kind in self.kinds]
        tables.sort(key=lambda table: table.bits)  # bits stand last: they are not scaled
        values = np.concatenate([in_single(table.values) for table in tables], axis=1)
        for data, row in zip(graphs, torch.from_numpy(values), strict=True):
            data[ATTRIBUTE] = row.unsqueeze(0)
        scaled = [table for table in tables if not table.bits]
        return replace(
            items,
            feature_names=[name for table in scaled for name in table.names],
            filled=_filled(graphs, scaled),
        )

    def _table(
        self, kind: str, graphs: Sequence[Data], items: Items, dataset: Any, keep: bool
    ) -> FeatureTable:
        described = OF_TEXTS.get(kind, ())
        places = [place for own in described for place in items.places(own)]
        if kind in OF_TEXTS and not places:
            raise ValueError(
                f"data.features={kind} describes {ITEMS[described[0]]}, and these are "
                f"{ITEMS.get(items.kind, 'none')}: choose another, or "
                "columns or file for numbers of your own"
            )
        if kind == getattr(dataset, "computed_targets", None):
            raise ValueError(
                f"data.features={kind} would tell the model data.computed_targets={kind}, the same "
                "numbers: leave them out with data.features=null"
            )
        rows, texts = [int(data.row) for data in graphs], [data.text for data in graphs]
        if kind == "columns":
            return of_columns(dataset, self.columns, rows)
        if kind == "file":
            return of_file(self.path, rows, items.num_rows)
        if kind == "morgan":
            return FeatureTable(*of_components(_morgan, texts, places), bits=True)
        if kind == "rdkit_2d":
            describe = _kept_descriptors if keep else rdkit_descriptors
            return FeatureTable(*of_components(describe, texts, places))
        if kind == "elements":
            return FeatureTable(*composition_descriptors(texts))
        if not items.components:  # an alphabet may hold blanks
            return FeatureTable(*_of_peptides(texts))
        return FeatureTable(*of_components(_of_peptides, texts, places))


def check_level(level: str) -> None:
    """See that targets are of graphs, as their features are.

    Raises:
        ValueError: if they are of nodes.
    """
    if level == "node":
        raise ValueError(
            f"{ATTRIBUTE} are of whole graphs, and what is to be predicted is of their nodes: "
            f"leave out data.features, and an attribute {ATTRIBUTE!r}"
        )


def feature_statistics(graphs: Sequence[Data], names: Sequence[str]) -> dict[str, list[float]]:
    """``feature_center``, the median of the features that are scaled, and ``feature_scale``.

    That is the distance of the quartiles, or half of the range where they are equal, as for counts
    that are mostly 0. Of what does not vary it is 0; so is the centre of what has no value.

    Args:
        graphs: of the training part.
        names: of the first features of each; what stands behind them is not scaled.
    """
    if not names:
        return {"feature_center": [], "feature_scale": []}
    x = torch.cat([data[ATTRIBUTE][:, : len(names)] for data in graphs]).double()
    known = x.isfinite()
    x = x.masked_fill(~known, torch.nan)
    low, center, high = np.nanquantile(_some_known(x), [0.25, 0.5, 0.75], axis=0)
    lowest = x.masked_fill(~known, torch.inf).amin(0).numpy()
    highest = x.masked_fill(~known, -torch.inf).amax(0).numpy()
    varies = lowest < highest
    scale = np.where(high > low, high - low, (highest - lowest) / 2)
    return {
        "feature_center": center.tolist(),
        "feature_scale": np.where(varies, scale, 0.0).tolist(),
    }


def constant_note(names: Sequence[str], scale: Sequence[float]) -> list[str]:
    """What to say of features that do not vary in training."""
    found = [name for name, spread in zip(names, scale, strict=True) if not spread]
    if not found:
        return []
    more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
    are = "is" if len(found) == 1 else "are"
    return [
        f"{len(found)} of {len(names)} features {are} the same throughout the training part, and "
        f"not used: {', '.join(found[:NAMED])}{more}"
    ]


def _some_known(x: Tensor) -> np.ndarray:
    """With 0 in the columns where nothing is known, of which there are no quantiles."""
    return torch.where(x.isnan().all(0), 0.0, x).numpy()


def _brought(graphs: Sequence[Data]) -> FeatureTable:
    """The features that items have themselves."""
    rows = [torch.as_tensor(data[ATTRIBUTE]).reshape(1, -1).double() for data in graphs]
    number = rows[0].size(1)
    for data, row in zip(graphs, rows, strict=True):
        if row.size(1) != number:
            raise ValueError(
                f"row {data.row} ({data.name}) has {row.size(1)} {ATTRIBUTE}, but "
                f"{graphs[0].name} has {number}: all items must have the same ones"
            )
    values: Tensor = torch.cat(rows)
    return FeatureTable([f"{ATTRIBUTE}_{i}" for i in range(number)], values.numpy())


def _morgan(smiles: Sequence[str]) -> tuple[list[str], np.ndarray]:
    values = morgan_fingerprints(smiles, counts=False)
    return [f"morgan_{i}" for i in range(values.shape[1])], values


def _kept_descriptors(smiles: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """They take a minute for some thousands of molecules."""

    def build() -> Items:
        found, values = rdkit_descriptors(smiles)
        rows = torch.from_numpy(values).split(1)
        return Items(graphs=[Data(x=row) for row in rows], feature_names=found)

    items = processed(digest("rdkit_2d", list(smiles)), build)
    return items.feature_names, torch.cat([data.x for data in items.graphs]).numpy()


def _of_peptides(texts: Sequence[str]) -> tuple[list[str], np.ndarray]:
    sequences = [text.replace("<unk>", "X") for text in texts]
    letters = Counter("".join(sequences))
    kind = likely_kind(letters)
    if kind not in (None, "proteins"):
        raise ValueError(
            f"data.features=peptide describes peptides, and these look like {kind}: choose columns "
            "or file for numbers of your own"
        )
    return peptide_descriptors(sequences)


def _filled(graphs: Sequence[Data], tables: Sequence[FeatureTable]) -> list[Rejected]:
    """The rows with a feature that is no finite number, and which."""
    found = []
    for i, data in enumerate(graphs):
        reasons = [reason for table in tables for reason in table.reasons(i)]
        if reasons:
            more = f" and {len(reasons) - NAMED} more" if len(reasons) > NAMED else ""
            said = ", ".join(reasons[:NAMED]) + more
            found.append(Rejected(int(data.row), data.name, said))
    return found
