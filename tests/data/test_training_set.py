"""How similar the nearest of the training is."""

import math

import pytest

from gia.data.training_set import TrainingSet


def test_molecules_are_compared_by_tanimoto(monkeypatch):
    chem = pytest.importorskip("rdkit.Chem")
    from rdkit.Chem.rdFingerprintGenerator import GetMorganGenerator
    from rdkit.DataStructs import BulkTanimotoSimilarity

    monkeypatch.setattr("gia.data.training_set.BLOCK_ENTRIES", 40)  # several blocks
    known = ["CCO", "c1ccccc1O", "CC(=O)Oc1ccccc1C(=O)O", "CCCCCCCC"]
    new = ["CCO", "CCCO", "c1ccccc1", "[Na+].[Cl-]"] * 10
    found = TrainingSet.of("smiles", known).similarity(new)
    generator = GetMorganGenerator(radius=2, fpSize=2048)
    prints = [
        [generator.GetFingerprint(chem.MolFromSmiles(text)) for text in side]
        for side in (known, new)
    ]
    assert found == pytest.approx([max(BulkTanimotoSimilarity(p, prints[0])) for p in prints[1]])
    assert found[0] == 1
    assert found[3] == 0


def test_several_molecules_of_an_item_are_compared_together():
    pytest.importorskip("rdkit")
    found = TrainingSet.of("smiles", ["CCO c1ccccc1"])  # a blank, as between components
    assert found.similarity(["CCO c1ccccc1", "c1ccccc1.CCO"]) == [1, 1]
    assert found.similarity(["CCO"])[0] < 1


def test_what_rdkit_rejects_has_no_similarity():
    pytest.importorskip("rdkit")
    found = TrainingSet.of("smiles", ["C1CC", "CCO"])
    assert found.similarity(["CCO"]) == [1]
    assert math.isnan(found.similarity(["C1CC"])[0])
    assert TrainingSet.of("smiles", ["C1CC"]) is None


def test_sequences_are_compared_by_their_kmers():
    # Of four letters k is 9: a sequence of 10 has two k-mers.
    known = TrainingSet.of("sequence", ["ACGTACGTAC", "GGGGGGGGGGGG"])
    new = ["ACGTACGTAC", "ACGTACGTAG", "TTTTTTTTTT", "AC"]
    assert known.similarity(new) == [1.0, 0.5, 0.0, 0.0]


@pytest.mark.parametrize(
    ("kind", "texts"), [("sequence", ["ACGTACGTAC"] * 2), ("smiles", ["CCO", "CO", "CCO"])]
)
def test_its_state_gives_the_same_again(kind, texts):
    if kind == "smiles":
        pytest.importorskip("rdkit")
    found = TrainingSet.of(kind, texts)
    again = TrainingSet(**found.state())
    new = [texts[0], texts[0][:2]]
    assert again.similarity(new) == found.similarity(new)
    assert again.similarity([]) == []


def test_graphs_without_texts_have_none():
    assert TrainingSet.of("name", ["a"]) is None
    assert TrainingSet.of("sequence", []) is None
