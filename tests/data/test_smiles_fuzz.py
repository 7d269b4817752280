"""Thousands of SMILES, checked against rdkit."""

import csv
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gia.data import Molecules
from gia.data.datasets.molecules import to_graph

MANY = settings(max_examples=3000, derandomize=True, deadline=None)
# Salts, stereo, charges, isotopes, radicals, aromatic nitrogens, wildcards: some of everything.
OWN = [
    *("C", "CCO", "c1ccccc1O", "CC(=O)Oc1ccccc1C(=O)O", "[Na+].[Cl-]", "C[C@H](N)C(=O)O"),
    *("F/C=C/F", r"F/C=C\F", "C[N+](=O)[O-]", "[2H]C([2H])O", "c1ccc2[nH]ccc2c1", "*CC*"),
    *("C[Si](C)(C)C", "CS(=O)(=O)N", "[H][H]", "OC[C@@H](O)[C@H](O)CO", "C1CC2CCC1C2"),
    *("N[C@@H](CS)C(=O)O", "CC1=C(C)C=CC=C1", "[O-]S(=O)(=O)[O-].[K+].[K+]", "C#N", "[NH4+]"),
]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def silent():
    from rdkit.rdBase import BlockLogs

    with BlockLogs():
        yield


@cache
def pool():
    """Those above, and every third in the data folder beside the checkout."""
    from conftest import SHARED
    from rdkit import Chem

    found = list(OWN)
    for name in ("delaney-processed.csv", "BBBP.csv", "Lipophilicity.csv"):
        path = SHARED / "data" / "molecules" / name
        if path.exists():
            with open(path, newline="") as file:
                found += [row["smiles"] for row in csv.DictReader(file)][::3]
    return [text for text in found if Chem.MolFromSmiles(text) is not None]


def chosen(number):
    return pool()[number % len(pool())]


def rewritten(text, seed, how):
    """The same molecule in other words."""
    from rdkit import Chem

    molecule = Chem.MolFromSmiles(text)
    if "hydrogens" in how:
        molecule = Chem.AddHs(molecule)
    if "maps" in how:
        for atom in molecule.GetAtoms():
            atom.SetAtomMapNum((atom.GetIdx() * 7 + seed) % 97)  # 0 for some: no number
    if "kekulised" in how:
        Chem.Kekulize(molecule, clearAromaticFlags=True)
    return Chem.MolToRandomSmilesVect(
        molecule, 1, randomSeed=seed, kekuleSmiles="kekulised" in how
    )[0]


@MANY
@given(
    st.integers(0, 10**6), st.integers(1, 10**6),
    st.sets(st.sampled_from(["hydrogens", "maps", "kekulised"])),
)  # fmt: skip
def test_a_molecule_written_otherwise_is_the_same(number, seed, how):
    from rdkit import Chem

    text = chosen(number)
    ours, other = to_graph(text), to_graph(rewritten(text, seed, how))
    assert other.text == ours.text
    assert ours.text == Chem.CanonSmiles(ours.text)
    assert (other.num_nodes, other.num_edges) == (ours.num_nodes, ours.num_edges)
    # Not the tag of chirality, which says how neighbours are ordered in the text.
    assert sorted(other.x[:, [0, *range(2, 9)]].tolist()) == sorted(
        ours.x[:, [0, *range(2, 9)]].tolist()
    )


@MANY
@given(st.integers(0, 10**6), st.integers(0, 99), st.text("()[]=#:@+-123cCnN.%/*H&", max_size=3))
def test_a_broken_smiles_is_refused_where_rdkit_refuses(number, place, inserted):
    from rdkit import Chem

    text = chosen(number)
    place %= len(text) + 1
    text = text[:place] + inserted + text[place + len(inserted) % 2 :]
    molecule = Chem.MolFromSmiles(text) if text.strip() else None
    graph, message = outcome(text)
    if message is not None:
        assert len(message.splitlines()) == 1
        known = molecule is None or not molecule.GetNumAtoms()
        assert known or "beyond PyG's features" in message
        return
    for atom in molecule.GetAtoms():
        atom.SetAtomMapNum(0)
    assert graph.num_nodes == Chem.RemoveHs(molecule).GetNumAtoms()


def outcome(text):
    """The graph of a SMILES, or why there is none."""
    try:
        return to_graph(text), None
    except ValueError as error:
        return None, str(error)


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 10**6), st.sampled_from(["", "C1CC", "(C", "X"])),
                min_size=1, max_size=12))  # fmt: skip
def test_rejected_rows_are_named(tmp_path_factory, rows):
    from rdkit import Chem

    file = tmp_path_factory.mktemp("smiles") / "m.csv"
    texts = [chosen(number) + broken for number, broken in rows]
    file.write_text("\n".join(["smiles,y", *(f'"{text}",1' for text in texts)]))
    items = Molecules(file, "smiles", "y").load()
    kept = {data.row for data in items.graphs}
    lost = {entry.row: entry.reason for entry in items.rejected}
    assert sorted(kept | lost.keys()) == list(range(len(rows)))
    assert not kept & lost.keys()
    for row, text in enumerate(texts):
        assert (row in lost) == (Chem.MolFromSmiles(text) is None)
        assert row not in lost or repr(text) in lost[row]
