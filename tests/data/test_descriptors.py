"""Descriptors of molecules and peptides: right values."""

import math
import sys

import numpy as np
import pytest

from gia.data.descriptors import peptide_descriptors, rdkit_descriptors


def described(function, *texts):
    names, values = function(texts)
    assert values.shape == (len(texts), len(names))
    return [dict(zip(names, row, strict=True)) for row in values]


def test_descriptors_of_molecules():
    from rdkit.Chem import Descriptors, MolFromSmiles

    ethanol, benzene = described(rdkit_descriptors, "CCO", "c1ccccc1")
    assert len(ethanol) == len(Descriptors.descList) > 200
    assert ethanol["MolWt"] == pytest.approx(2 * 12.011 + 6 * 1.008 + 15.999, abs=1e-3)
    assert ethanol["TPSA"] == pytest.approx(20.23)
    assert (ethanol["NumHDonors"], ethanol["RingCount"]) == (1, 0)
    assert (benzene["RingCount"], benzene["NumAromaticRings"]) == (1, 1)
    assert benzene["Ipc"] == math.log1p(Descriptors.Ipc(MolFromSmiles("c1ccccc1")))


def test_a_long_molecule_stays_in_single_precision():
    [polymer] = described(rdkit_descriptors, "C" * 200)
    assert np.isfinite(np.array(list(polymer.values()), dtype=np.float32)).all()
    assert polymer["Ipc"] > 80  # beyond 1e38 before the logarithm


def test_what_cannot_be_said_is_nan(capfd):
    [salt] = described(rdkit_descriptors, "[Na+].[Cl-]")
    assert math.isnan(salt["BCUT2D_MWHI"])
    assert salt["MolWt"] == pytest.approx(58.44, abs=0.01)
    assert capfd.readouterr().err == ""
    with pytest.raises(ValueError, match="'no molecule' is no SMILES"):
        rdkit_descriptors(["no molecule"])


def test_descriptors_of_peptides():
    [peptide] = described(peptide_descriptors, "AKKW")
    assert peptide["length"] == 4
    assert peptide["gravy"] == pytest.approx((1.8 - 3.9 - 3.9 - 0.9) / 4)  # Kyte and Doolittle
    assert (peptide["share_K"], peptide["share_C"]) == (0.5, 0)
    assert peptide["aromaticity"] == 0.25
    # Residue masses and a water.
    assert peptide["molecular_weight"] == pytest.approx(
        71.08 + 2 * 128.17 + 186.21 + 18.02, abs=0.05
    )
    assert 1.5 < peptide["charge_at_pH_7"] < 2
    assert peptide["extinction_reduced"] == 5500  # of one tryptophan


def test_other_residues_count_in_the_length_alone():
    plain, other, none = described(peptide_descriptors, "AKKW", "AXKKWX", "XX")
    assert (other.pop("length"), plain.pop("length"), none.pop("length")) == (6, 4, 2)
    assert other == plain
    assert all(map(math.isnan, none.values()))


def test_without_biopython(monkeypatch):
    monkeypatch.setitem(sys.modules, "Bio.SeqUtils.ProtParam", None)
    with pytest.raises(ImportError, match=r"pip install gia\[bio\]"):
        peptide_descriptors(["AKKW"])
