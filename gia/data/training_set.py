"""What a model was trained on, kept to see how far from it a new molecule or sequence is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_array

from gia.data.components import components
from gia.data.fingerprints import SIZE, substructures
from gia.data.splits.similarity import BLOCK_ENTRIES, kmer_incidence, kmer_length

FAR = 0.3  # what is less similar to all of the training is far from it


class TrainingSet:
    """Molecules, as their substructures, or sequences of a training part.

    The similarity of molecules is Tanimoto's of Morgan fingerprints (radius 2, 2,048 bits): shared
    substructures over those of either. That of sequences is what splits compare, the k-mers that
    the shorter one shares: see :func:`gia.data.clusters`.

    Args:
        kind (str): ``"smiles"`` or ``"sequence"``, as :class:`~gia.data.items.Items` has it.
        kept (dict or list): Of molecules the ``columns`` of the bits that are set and the ``ends``
            of each molecule's among them; or the sequences.
    """

    def __init__(self, kind: str, kept: Any):
        self.kind, self.kept = kind, kept

    @classmethod
    def of(cls, kind: str, texts: Sequence[str]) -> TrainingSet | None:
        """Keep what is needed of some texts.

        Args:
            kind (str): What the texts are.
            texts (list of str): SMILES or sequences.

        Returns:
            None for graphs that have nothing to compare, or molecules without rdkit.
        """
        texts = list(dict.fromkeys(texts))
        if kind == "sequence" and texts:
            return cls(kind, texts)
        if kind != "smiles":
            return None
        try:
            found = [bits for bits in _bits(texts) if bits is not None]
        except ImportError:
            return None
        columns, ends = _joined(found)
        kept = {"columns": torch.from_numpy(columns), "ends": torch.from_numpy(ends)}
        return cls(kind, kept) if found else None

    def similarity(self, texts: Sequence[str]) -> list[float]:
        """That to the nearest of the training, from 0 to 1; NaN for what rdkit rejects."""
        texts = list(texts)
        if self.kind == "sequence":
            n = len(self.kept)
            kmers = kmer_incidence([*self.kept, *texts], kmer_length(self.kept))
            return _nearest(kmers[:n], kmers[n:], tanimoto=False)
        bits = _bits(texts)
        known = _incidence(self.kept["columns"].numpy(), self.kept["ends"].numpy())
        new = _incidence(*_joined([[] if of_one is None else of_one for of_one in bits]))
        nearest = _nearest(known, new, tanimoto=True)
        pairs = zip(bits, nearest, strict=True)
        return [math.nan if of_one is None else value for of_one, value in pairs]

    def state(self) -> dict[str, Any]:
        """Tensors and plain values, of which the class makes the same again."""
        return {"kind": self.kind, "kept": self.kept}


def _bits(texts: Sequence[str]) -> list[list[int] | None]:
    """The substructures of molecules, those of several in one item together."""
    return substructures([".".join(components(text)) for text in texts])


def _joined(bits: Sequence[Sequence[int]]) -> tuple[np.ndarray, np.ndarray]:
    columns = [column for of_one in bits for column in of_one]
    return np.array(columns, dtype=np.int16), np.cumsum([0, *map(len, bits)])


def _incidence(columns: np.ndarray, ends: np.ndarray) -> csr_array:
    ones, columns = np.ones(len(columns), dtype=np.int32), columns.astype(np.int32)
    return csr_array((ones, columns, ends), shape=(len(ends) - 1, SIZE))


def _nearest(known: csr_array, new: csr_array, *, tanimoto: bool) -> list[float]:
    """The largest similarity of each new row to one that is known."""
    sizes, new_sizes = np.diff(known.indptr), np.diff(new.indptr)
    rows, nearest = max(1, BLOCK_ENTRIES // known.shape[0]), []
    for start in range(0, new.shape[0], rows):
        shared = (new[start : start + rows] @ known.T).toarray()
        size = new_sizes[start : start + rows, None]
        whole = size + sizes - shared if tanimoto else np.minimum(size, sizes)
        nearest += (shared / np.maximum(whole, 1)).max(1).tolist()
    return nearest
