"""Fingerprints depend on the molecule or the sequence alone, and count."""

from collections import Counter

import numpy as np
import pytest

from gia.data.fingerprints import kmer_counts, morgan_fingerprints


@pytest.fixture
def rdkit():
    return pytest.importorskip("rdkit")


def test_k_mers_are_counted():
    sequences = ["ACDACDAC", "KK", "W"]
    rows = kmer_counts(sequences, kmer=3, size=4096)
    assert rows.dtype == np.float32
    assert rows.shape == (3, 4096)
    for sequence, row in zip(sequences, rows, strict=True):
        found = Counter(
            sequence[i : i + k] for k in (1, 2, 3) for i in range(len(sequence) - k + 1)
        )
        assert sorted(row[row > 0]) == sorted(found.values())
        said = kmer_counts([sequence], kmer=3, size=4096, counts=False)[0]
        assert np.array_equal(said, row > 0)
    assert np.array_equal(kmer_counts(sequences[::-1], kmer=3, size=4096), rows[::-1])


def test_k_mers_are_folded_and_case_and_unknown_symbols_count():
    (row,) = kmer_counts(["ACDEFGHIKL"], kmer=2, size=8)
    assert len(row) == 8
    assert row.sum() == 10 + 9
    upper, lower = kmer_counts(["AC", "ac"], kmer=1)
    assert not (upper * lower).any()
    assert np.array_equal(*kmer_counts(["A<unk>C", "AXC"]))
    assert not kmer_counts([""]).any()
    for options, said in (({"kmer": 0}, "got 0 and 2048"), ({"size": 0}, "got 3 and 0")):
        with pytest.raises(ValueError, match=f"kmer >= 1 and size >= 1, {said}"):
            kmer_counts(["AC"], **options)


@pytest.mark.usefixtures("rdkit")
def test_a_molecule_has_one_fingerprint_however_it_is_written():
    one, other, third = morgan_fingerprints(["CCO", "OCC", "CCN"])
    assert one.dtype == np.float32
    assert one.shape == (2048,)
    assert np.array_equal(one, other)
    assert not np.array_equal(one, third)


@pytest.mark.usefixtures("rdkit")
def test_counts_count_and_bits_do_not():
    chain = "C" * 12
    (counts,) = morgan_fingerprints([chain])
    (bits,) = morgan_fingerprints([chain], counts=False)
    # Each atom is the centre of a neighbourhood of 0, 1 and 2 bonds, less those said twice.
    assert counts.max() == 10  # the carbons inside the chain
    assert bits.max() == 1
    assert np.array_equal(bits > 0, counts > 0)


@pytest.mark.usefixtures("rdkit")
def test_the_radius_and_the_size_are_kept():
    (near,) = morgan_fingerprints(["c1ccccc1CCO"], radius=0, size=64)
    (far,) = morgan_fingerprints(["c1ccccc1CCO"], radius=2, size=64)
    assert len(near) == len(far) == 64
    assert near.sum() == 9  # one for each atom
    assert far.sum() > near.sum()


@pytest.mark.usefixtures("rdkit")
def test_bad_input_is_named():
    with pytest.raises(ValueError, match="'GLWKK' is no SMILES: choose a data set of molecules"):
        morgan_fingerprints(["CCO", "GLWKK"])
    with pytest.raises(ValueError, match="got -1 and 2048"):
        morgan_fingerprints(["C"], radius=-1)
    with pytest.raises(ValueError, match="got 2 and 0"):
        morgan_fingerprints(["C"], size=0)
