"""Molecules beside a sequence: one graph of atoms and residues."""

import pytest
import torch

from gia.data import DataModule, Molecules
from gia.data.datasets.molecules import to_graph
from gia.data.depict import depict
from gia.data.descriptors import peptide_descriptors, rdkit_descriptors
from gia.data.node_labels import node_labels
from gia.data.transforms.chain import chain

LIGANDS = ["CC(=O)O", "CCO", "OC(=O)c1ccccc1", "CCCCC(=O)O", "O"]
PEPTIDES = ["ACDEF", "WKLLW", "MGGG", "HHYTRE"]
PAIRS = [(ligand, peptide) for ligand in LIGANDS for peptide in PEPTIDES]
FAR = {"val_fraction": 0.2, "test_fraction": 0.2}
COLUMNS = {"smiles_column": "ligand", "sequence_column": "peptide"}


@pytest.fixture
def table(tmp_path):
    """Makes the dataset of a table of pairs; its target is the row."""

    def make(pairs=PAIRS, **options):
        file = tmp_path / "pairs.csv"
        rows = [f"{','.join(pair)},{i}" for i, pair in enumerate(pairs)]
        file.write_text("\n".join(["ligand,peptide,y", *rows, ""]))
        return Molecules(file, **COLUMNS | {"target_column": "y"} | options)

    return make


def test_atoms_and_residues_are_nodes_of_one_graph(table):
    dataset = table()
    letters = dataset.tokenizer.symbols
    for (ligand, peptide), graph in zip(PAIRS, dataset, strict=True):
        molecule, length = to_graph(ligand), len(peptide)
        atoms = molecule.num_nodes
        assert graph.component.tolist() == [0] * atoms + [1] * length
        assert torch.equal(graph.x[:atoms], molecule.x)
        assert not graph.x[atoms:].any()
        assert [letters[i] for i in graph.token] == ["<atom>"] * atoms + [*peptide]
        assert graph.seq_pos.tolist() == [0] * atoms + [*range(length)]
        edges = torch.cat([molecule.edge_index, chain(length) + atoms], 1)
        assert torch.equal(graph.edge_index, edges)
        assert torch.equal(graph.edge_attr[: molecule.num_edges], molecule.edge_attr)
        assert not graph.edge_attr[molecule.num_edges :].any()
        assert graph.text == f"{molecule.text} {peptide}"


def test_a_model_is_told_of_both(table):
    inputs = DataModule(table(), **FAR).inputs()
    assert inputs["vocab_size"] == 3 + 20 + 1
    assert len(inputs["node_categories"]) == 9
    assert inputs["encodings"] == {"component": 2}
    assert inputs["ordered"]


def test_bad_rows_are_told_by_column(table):
    pairs = [*PAIRS, ("CCO", ""), ("C1CC", "AC"), ("", ""), ("CCO", "AC Z*")]
    data = DataModule(table(pairs, max_length=5), **FAR)
    summary = data.summary()
    assert {entry["row"]: entry["reason"] for entry in summary["rejected"]} == {
        20: "'peptide': the sequence is empty",
        21: "rdkit rejects 'C1CC': it is not SMILES",
        22: "the SMILES is empty; 'peptide': the sequence is empty",
    }
    assert summary["unknown"] == {"Z": 1}
    assert summary["cut"] == 5
    assert data.graphs[-1].text == "CCO AC<unk>"
    assert any("blanks" in note for note in summary["notes"])
    with pytest.raises(ValueError, match=r"both name 'ligand'"):
        table(sequence_column="ligand").load()
    with pytest.raises(ValueError, match=r"no column 'protein' .*data.sequence_column"):
        table(sequence_column="protein").load()
    with pytest.raises(ValueError, match=r"of all letters are not in .* these look like SMILES"):
        DataModule(table([(a, "C(=O)C(=O)") for a, _ in PAIRS]), **FAR).setup()


def test_splits_compare_the_part_that_they_can(table):
    data = DataModule(table(), split="similarity", val_fraction=0.25, test_fraction=0.25)
    data.setup()
    assert [int(group) for group in data.split.group] == [i % 4 for i in range(20)]
    rings = ["C1CC1", "c1ccccc1", "C1CCC1", "c1ccncc1"]
    pairs = [(ring + tail, PEPTIDES[i]) for ring in rings for i, tail in enumerate(["", "C", "CC"])]
    data = DataModule(table(pairs), split="scaffold", **FAR)
    assert "compares 'ligand' alone" in " ".join(data.summary()["notes"])
    with pytest.raises(ValueError, match=r"compared_column=peptide with .* must be one of ligand"):
        DataModule(table(), split="scaffold", compared_column="peptide", **FAR).setup()


def test_features_are_of_the_part_that_they_describe(table):
    data = DataModule(table(), features=["rdkit_2d", "peptide"], **FAR)
    names, first = rdkit_descriptors([ligand for ligand, _ in PAIRS])
    more, second = peptide_descriptors([peptide for _, peptide in PAIRS])
    assert data.inputs()["feature_names"] == [*names, *more]
    x = torch.cat([graph.graph_features for graph in data.graphs])
    both = torch.cat([torch.from_numpy(first), torch.from_numpy(second)], 1).float()
    torch.testing.assert_close(x, both, equal_nan=True)


def test_labels_and_no_drawing(table):
    graph = table()[5]
    assert node_labels(graph, "smiles") == ["C", "C", "O", *"WKLLW"]
    assert depict(graph) is None


def test_hidden_nodes_would_be_of_two_kinds(table):
    with pytest.raises(ValueError, match=r"have both: pretrain on the molecules alone"):
        DataModule(table(), target_type="masked", **FAR).setup()


def test_another_table_is_read_alike(table, tmp_path):
    data = DataModule(table(), **FAR)
    new = tmp_path / "new.csv"
    new.write_text("smiles,protein\nCCO,ACW\n,ACW\n")
    columns = {"smiles_column": "smiles", "sequence_column": "protein"}
    other = data.for_model(data.inputs(), new, **columns)
    other.setup()
    assert [graph.text for graph in other.graphs] == ["CCO ACW"]
    kept = DataModule(
        table(alphabet="YWVTSRQPNMLKIHGFEDCA"), **FAR
    )  # but the model's symbols count
    again = kept.for_model(data.inputs(), whole=True)
    again.setup()
    data.setup()
    assert torch.equal(again.graphs[0].token, data.graphs[0].token)
    new.write_text("ligand\nCCO\n")
    with pytest.raises(ValueError, match=r"new\.csv has no column 'peptide'"):
        data.for_model(data.inputs(), new).setup()
