"""Counts of what is found in a text: Morgan's circular substructures, k-mers of a sequence."""

from collections.abc import Sequence

import numpy as np

from gia.data.chemistry import require_rdkit

SIZE = 2048  # bits of a fingerprint


def morgan_fingerprints(
    smiles: Sequence[str], *, radius: int = 2, size: int = SIZE, counts: bool = True
) -> np.ndarray:
    """Circular substructures of molecules, folded into vectors of one length.

    Extended-connectivity fingerprints (Rogers and Hahn, `2010
    <https://doi.org/10.1021/ci100050t>`_), ECFP4 at the default radius.

    Args:
        smiles: of the molecules.
        radius: bonds around an atom that are looked at.
        size: entries of a vector.
        counts: how often a substructure occurs, instead of whether it does.

    Returns:
        ``[B, size]``, float32.

    Raises:
        ImportError: if rdkit is not installed.
        ValueError: if an option is out of range, or a text is no SMILES.
    """
    if radius < 0 or size < 1:
        raise ValueError(f"fingerprints need radius >= 0 and size >= 1, got {radius} and {size}")
    chem = require_rdkit()
    from rdkit.Chem.rdFingerprintGenerator import GetMorganGenerator
    from rdkit.rdBase import BlockLogs

    generator = GetMorganGenerator(radius=radius, fpSize=size)
    vector = generator.GetCountFingerprintAsNumPy if counts else generator.GetFingerprintAsNumPy
    vectors = np.zeros((len(smiles), size), dtype=np.float32)
    with BlockLogs():
        for row, text in enumerate(smiles):
            molecule = chem.MolFromSmiles(text)
            if molecule is None:
                raise ValueError(
                    f"fingerprints are of molecules, and {text[:40]!r} is no SMILES: choose a data "
                    "set of molecules, such as data=esol or data=molecules; of sequences k-mers "
                    "are read, fingerprint_kmer=3"
                )
            vectors[row] = vector(molecule)
    return vectors


def kmer_counts(
    sequences: Sequence[str], *, kmer: int = 3, size: int = SIZE, counts: bool = True
) -> np.ndarray:
    """All runs of up to ``kmer`` letters of sequences, hashed into vectors of one length.

    By scikit-learn's ``HashingVectorizer``; what is no symbol of the alphabet, ``<unk>``, counts as
    a letter ``X``.

    Args:
        sequences: of one letter a symbol.
        kmer: letters of the longest runs.
        size: entries of a vector.
        counts: how often a run occurs, instead of whether it does.

    Returns:
        ``[B, size]``, float32.

    Raises:
        ValueError: if an option is out of range.
    """
    if kmer < 1 or size < 1:
        raise ValueError(f"k-mers need kmer >= 1 and size >= 1, got {kmer} and {size}")
    from sklearn.feature_extraction.text import HashingVectorizer

    reader = HashingVectorizer(
        analyzer="char",
        ngram_range=(1, kmer),
        n_features=size,
        lowercase=False,
        alternate_sign=False,
        norm=None,
        binary=not counts,
        dtype=np.float32,
    )
    return reader.transform([text.replace("<unk>", "X") for text in sequences]).toarray()


def substructures(smiles: Sequence[str]) -> list[list[int] | None]:
    """Which bits of a fingerprint of :data:`SIZE` are set, radius 2; None for no SMILES.

    Args:
        smiles: of the molecules.

    Raises:
        ImportError: if rdkit is not installed.
    """
    chem = require_rdkit()
    from rdkit.Chem.rdFingerprintGenerator import GetMorganGenerator
    from rdkit.rdBase import BlockLogs

    generator = GetMorganGenerator(radius=2, fpSize=SIZE)
    with BlockLogs():
        molecules = map(chem.MolFromSmiles, smiles)
        return [
            None if molecule is None else list(generator.GetFingerprint(molecule).GetOnBits())
            for molecule in molecules
        ]
