"""When two rows are one molecule or one sequence, and what is said of it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_geometric.data import Data

from gia.data import DataModule, Molecules, Records, Splitter, contiguous_split, scaffolds
from gia.data.chemistry import same_molecule
from gia.data.datasets.molecules import molecule_items, to_graph
from gia.data.splits import EmptyPart

SAME = [
    ["CCO", "OCC", "C(C)O", "[CH3:1][CH2:2][OH:3]", "[H]OCC", "[CH3][CH2][OH]"],
    ["c1ccccc1O", "C1=CC=CC=C1O", "[cH:1]1[cH:2]cccc1[OH:9]"],
    ["[Na+].[Cl-]", "[Cl-].[Na+]", "[Na+:1].[Cl-:2]"],
    ["C[N+](=O)[O-]", "CN(=O)=O", "O=N(=O)C"],
    ["O", "[H]O[H]", "[H:1][O:2][H:3]"],
    ["CC(C)O", "[CH3:1][C@H:2](O)[CH3:3]"],  # the maps alone made a stereocentre
    ["*C", "[*:1]C", "C[*:2]"],
    ["F[C@@H](Cl)Br", "[H][C@](F)(Cl)Br", "[H:9][C@:2](F)(Cl)Br"],
]
DIFFERENT = [
    ("C[C@H](N)O", "C[C@@H](N)O", "CC(N)O"),
    ("C/C=C/C", r"C/C=C\C"),
    ("CC(=O)O", "CC(=O)[O-]"),
    ("C", "[2H]C", "[13CH4]", "[CH3]"),
    ("CC(=O)C", "CC(O)=C"),
    ("CC(=O)[O-]", "CC(=O)[O-].[Na+]"),
]


@pytest.mark.parametrize("written", SAME)
def test_one_molecule_written_several_ways(written):
    graphs = [to_graph(smiles) for smiles in written]
    assert len({graph.text for graph in graphs}) == 1
    assert len({(graph.num_nodes, graph.num_edges) for graph in graphs}) == 1
    rows = [sorted(graph.x.tolist()) for graph in graphs]
    assert all(row == rows[0] for row in rows)
    assert {same_molecule(smiles) for smiles in written} == {graphs[0].text}


@pytest.mark.parametrize("written", DIFFERENT)
def test_different_molecules(written):
    assert len({to_graph(smiles).text for smiles in written}) == len(written)


def test_atom_maps_make_no_other_molecule(shared_data):
    file = shared_data.parent / "cases" / "atom_mapped.csv"
    for split, seed in (("random", 0), ("random", 1), ("random", 2), ("kfold", 0)):
        data = DataModule(Molecules(file, "smiles", "y"), split=split, split_seed=seed)
        assert data.summary()["duplicates"] == 3
        assert data.summary()["in_several_parts"] == 0
        for text, number in (("CCO", 3), ("CO", 2)):
            own = [
                p for p, t in zip(data.split.part.tolist(), data.texts, strict=True) if t == text
            ]
            assert len(own) == number
            assert len(set(own)) == 1


def rewritten(smiles, seed, mapped):
    from rdkit import Chem

    molecule = Chem.MolFromSmiles(smiles)
    if mapped:
        for atom in molecule.GetAtoms():
            atom.SetAtomMapNum(atom.GetIdx() + 1)
    return Chem.MolToRandomSmilesVect(molecule, 1, randomSeed=seed)[0]


FEW = ["CCO", "c1ccccc1O", "CC(=O)O", "CCN", "C1CCCCC1", "CC(C)C", "C[C@H](N)C(=O)O", "CC#N"]


@settings(max_examples=100, derandomize=True, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(FEW), st.integers(0, 99), st.booleans()), min_size=8, max_size=16
    ),
    st.sampled_from(["random", "scaffold", "kfold"]),
    st.integers(0, 9),
)
def test_parts_share_no_molecule(drawn, split, seed):
    written = [*((smiles, 0, False) for smiles in FEW), *drawn]
    smiles = [rewritten(*row) for row in written]
    items = molecule_items(smiles, smiles, [[] for _ in smiles], [])
    texts = [data.text for data in items.graphs]
    assert len(set(texts)) == len(FEW)
    fractions = {"val_fraction": 0.3, "test_fraction": 0.3}
    splitter = Splitter(split, split_seed=seed, folds=3, **fractions)
    try:
        part = splitter(items, texts, range(len(texts))).part
    except EmptyPart:  # most of them are one molecule, or have no ring
        return
    of_molecule = {}
    for (molecule, _, _), number in zip(written, part.tolist(), strict=True):
        assert of_molecule.setdefault(molecule, number) == number


def test_items_of_any_dataset_are_compared_alike():
    smiles = ["CCO", "[CH3:1][CH2:2][OH:3]", *(f"{'C' * n}N" for n in range(1, 11)), "nonsense("]
    graphs = [Data(num_nodes=1, y=float(i), smiles=s) for i, s in enumerate(smiles)]
    data = DataModule(graphs, split="random")
    assert data.summary()["duplicates"] == 1
    assert data.texts[1] == "CCO"
    assert data.texts[-1] == "nonsense("
    with pytest.raises(ValueError, match=r"scaffold compares molecules, and 'nonsense\(' is no SM"):
        scaffolds(data.texts)
    graphs = [
        Data(num_nodes=1, y=float(i), sequence=s) for i, s in enumerate(["M-kV", "MKV*", "W"])
    ]
    data = DataModule(graphs, split="none")
    data.setup()
    assert data.texts == ["MKV", "MKV", "W"]


def test_items_in_several_parts_are_told(source):
    sequences = ["MKV", *"ACDEFGHI", "mk v"]
    data = DataModule(Records(source(*sequences)), target_type="next_token", split="contiguous",
                      batch_size=4)  # fmt: skip
    assert contiguous_split(sequences, val_fraction=0.1, test_fraction=0.1).part[-1] == 2
    assert data.summary()["in_several_parts"] == 1


def test_conflicting_targets_are_told(molecules):
    rows = [("CCO", 1, 5), ("OCC", 2, 5), ("C", 3, 1), ("C", 3, 2), ("CC", "", 4), ("CC", 1, 4)]
    data = molecules(*rows, header="smiles,y,y2", split="none")
    assert data.summary()["conflicting"] == {
        "y": {"number": 1, "of": 3, "kind": "smiles", "text": "CCO", "rows": [0, 1]},
        "y2": {"number": 1, "of": 3, "kind": "smiles", "text": "C", "rows": [2, 3]},
    }


def test_conflicting_classes_of_peptides(shared_data):
    from gia.data import Sequences

    file = shared_data / "public" / "peptide_self_assembly" / "phase_data_clean.csv"
    header = file.read_text().splitlines()[0]
    target = header[header.index('"') + 1 : header.rindex('"')]
    both = "ACDEFGHIKLMNPQRSTVWYXacdefghiklmnpqrstvwy"
    dataset = Sequences(file, "sequence", target, alphabet=both)
    data = DataModule(dataset, target_type="classification", split="random")
    found = data.summary()["conflicting"][target]  # 130 as they are written, one of them "AA "
    assert (found["number"], found["of"], found["text"]) == (45, 129, "FF")
    merged = DataModule(Sequences(file, "sequence", target), target_type="classification")
    found = merged.summary()["conflicting"][target]
    assert (found["number"], found["of"]) == (47, 119)


def test_conflicting_labels_of_a_language_model(source):
    records = source(*"AACCDEFGHI", labels=tuple("xyxxxxxyyy"))
    data = DataModule(Records(records, append_label=True), target_type="next_token", batch_size=4)
    found = data.summary()["conflicting"]["the class"]
    assert (found["number"], found["text"], found["rows"]) == (1, "A", [0, 1])
