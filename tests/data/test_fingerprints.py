"""Fingerprints depend on the molecule alone, and count."""

import numpy as np
import pytest

from gia.data.fingerprints import morgan_fingerprints

pytest.importorskip("rdkit")


def test_a_molecule_has_one_fingerprint_however_it_is_written():
    one, other, third = morgan_fingerprints(["CCO", "OCC", "CCN"])
    assert one.dtype == np.float32
    assert one.shape == (2048,)
    assert np.array_equal(one, other)
    assert not np.array_equal(one, third)


def test_counts_count_and_bits_do_not():
    chain = "C" * 12
    (counts,) = morgan_fingerprints([chain])
    (bits,) = morgan_fingerprints([chain], counts=False)
    # Each atom is the centre of a neighbourhood of 0, 1 and 2 bonds, less those said twice.
    assert counts.max() == 10  # the carbons inside the chain
    assert bits.max() == 1
    assert np.array_equal(bits > 0, counts > 0)


def test_the_radius_and_the_size_are_kept():
    (near,) = morgan_fingerprints(["c1ccccc1CCO"], radius=0, size=64)
    (far,) = morgan_fingerprints(["c1ccccc1CCO"], radius=2, size=64)
    assert len(near) == len(far) == 64
    assert near.sum() == 9  # one for each atom
    assert far.sum() > near.sum()


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="'GLWKK' is no SMILES: choose a data set of molecules"):
        morgan_fingerprints(["CCO", "GLWKK"])
    with pytest.raises(ValueError, match="got -1 and 2048"):
        morgan_fingerprints(["C"], radius=-1)
    with pytest.raises(ValueError, match="got 2 and 0"):
        morgan_fingerprints(["C"], size=0)
