"""Chains of PDB and mmCIF files as a dataset: of folders, lists and tables."""

import os

import pytest
import torch

pytest.importorskip("gemmi", reason="gemmi is not installed")

import proteins
from proteins import HAIRPIN, SEQUENCE, protein
from runs import write_table

from gia.data import DataModule, ProteinStructures
from gia.data import structure_files as files


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("GIA_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def folder(tmp_path):
    """Four files, seven chains of amino acids; each format, gzipped or not, one in a folder."""
    folder = tmp_path / "structures"
    proteins.write(folder / "one.pdb", protein())
    proteins.write(folder / "two.cif.gz", protein(HAIRPIN[:12], names=("A", "B")))
    proteins.write(folder / "below" / "three.ent.gz", protein(HAIRPIN[3:], names=("A", "B", "C")))
    proteins.write(folder / "four.mmcif", protein(HAIRPIN[5:], names=("LONG",)))
    (folder / "notes.txt").write_text("no structure")
    return folder


CHAINS = ["three_A", "three_B", "three_C", "four_LONG", "one_A", "two_A", "two_B"]


def unlabelled(path, **options):
    return ProteinStructures(path, target_type=None, labelled=False, **options)


def names(dataset):
    return [data.name for data in dataset]


def test_a_folder(folder):
    dataset = unlabelled(folder)
    assert names(dataset) == CHAINS
    assert [data.row for data in dataset] == list(range(7))
    assert [data.text for data in dataset] == [SEQUENCE[3:]] * 3 + [SEQUENCE[5:], SEQUENCE] + [
        SEQUENCE[:12]
    ] * 2
    assert {*dataset[0].to_dict()} >= {"token", "seq_pos", "pos", "edge_index", "edge_attr"}
    assert "y" not in dataset[0]
    columns, rows = dataset.table()
    assert columns == ["file", "structure", "chain"]
    assert (rows[1]["file"], rows[1]["chain"]) == ("three.ent.gz", "B")
    assert dataset.items.kind == "sequence"


def test_files_a_pattern_and_several_folders(folder):
    assert names(unlabelled(folder / "one.pdb")) == ["one_A"]
    assert names(unlabelled([folder / "two.cif.gz", folder / "one.pdb"])) == [*CHAINS[5:], "one_A"]
    assert names(unlabelled(f"{folder}/*.*if*")) == CHAINS[3:4] + CHAINS[5:]
    assert names(unlabelled([folder / "below", folder / "one.pdb"])) == [*CHAINS[:3], "one_A"]


def test_chosen_chains(folder):
    dataset = unlabelled(folder, chains=["B", "LONG"])
    assert names(dataset) == ["three_B", "four_LONG", "two_B"]
    assert [(entry.row, entry.name, entry.reason) for entry in dataset.items.rejected] == [
        (2, "one", "it has no chain 'B' or 'LONG' of amino acids, but A")
    ]
    assert names(unlabelled(folder / "one.pdb", chains="A")) == ["one_A"]


def table_of(folder, columns, rows):
    write_table(folder / "table.csv", columns, rows)
    return folder / "table.csv"


def test_a_table(folder):
    """A row of a table is all chains of its file, with its target."""
    rows = [["two.cif.gz", 1.5], ["one", 2.5], ["below/three", -1.0], ["four.mmcif", ""]]
    table = table_of(folder, ["structure", "t"], rows)
    dataset = ProteinStructures(table, target_column="t")
    assert names(dataset) == ["two_A", "two_B", "one_A", "three_A", "three_B", "three_C"]
    assert [data.y.item() for data in dataset] == [1.5, 1.5, 2.5, -1.0, -1.0, -1.0]
    assert [(entry.row, entry.name) for entry in dataset.items.rejected] == [(6, "four_LONG")]
    assert dataset.column("t") == ["1.5", "1.5", "2.5", "-1.0", "-1.0", "-1.0", ""]
    assert dataset.column("chain") == ["A", "B", "A", "A", "B", "C", "LONG"]


def test_a_table_with_chains_and_names(folder):
    rows = [["two", "B", 1.0, "x"], ["two", "", 2.0, "y"], ["two", "C", 3.0, "z"]]
    table = table_of(folder, ["file", "part", "t", "id"], rows)
    options = {"structure_column": "file", "chain_column": "part", "name_column": "id"}
    dataset = ProteinStructures(table, target_column="t", **options)
    assert names(dataset) == ["x", "y_A", "y_B"]
    assert [data.y.item() for data in dataset] == [1, 2, 2]
    (rejected,) = dataset.items.rejected
    assert (rejected.row, rejected.name) == (3, "z")
    assert rejected.reason == "it has no chain 'C' of amino acids, but A, B"
    assert dataset.column("part") == ["B", "A", "B", "C"]


def test_what_cannot_be_read_is_told_by_file(folder):
    whole = (folder / "two.cif.gz").read_bytes()
    (folder / "cut.cif.gz").write_bytes(whole[: len(whole) // 2])
    (folder / "page.pdb").write_text("<html>not found</html>")
    (folder / "empty.pdb").write_bytes(b"")
    overlap = protein([HAIRPIN[0], HAIRPIN[1], HAIRPIN[2], HAIRPIN[1]])
    proteins.write(folder / "zeros.pdb", overlap)
    rows = [[name, 1] for name in ("cut.cif.gz", "page", "empty", "zeros", "nowhere", "", "one")]
    table = table_of(folder, ["structure", "t"], rows)
    dataset = ProteinStructures(table, target_column="t")
    assert names(dataset) == ["one_A"]
    told = [(entry.row, entry.name, entry.reason) for entry in dataset.items.rejected]
    assert [entry[:2] for entry in told] == [
        *[(0, "cut"), (1, "page"), (2, "empty"), (3, "zeros_A"), (4, "row_4"), (5, "row_5")]
    ]
    reasons = ["whole gzip file", "holds no atom", "holds no atom", "0.00 Angstrom apart"]
    reasons += [f"there is no file 'nowhere' in {folder}", "it names no file"]
    assert all(part in entry[2] for part, entry in zip(reasons, told, strict=True))
    data = DataModule(dataset, split="none", strict=True)
    with pytest.raises(ValueError, match=r"6 rows cannot be used: row 0 .cut.: the file=.*gzip"):
        data.setup()


def test_what_is_counted(folder):
    structure = protein(models=2)
    for model in structure:
        for place, name in ((0, "MSE"), (1, "MSE"), (6, "TPO"), (19, "UNK")):
            model["A"][place].name = name
        for place in (12, 11):
            del model["A"][place]
        model["A"][3].remove_atom("CB", "\0", proteins.gemmi.Element("C"))
    proteins.write(folder / "five.pdb", structure)
    items = unlabelled([folder / "one.pdb", folder / "five.pdb"]).items
    assert items.notes == [
        "1 chains are in several models, as of NMR: the first model is read (first: five_A)",
        "2 residues have no coordinates and are left out: seq_pos counts them (first: five_A)",
        "1 residues have no CB atom: their pos is that of CA, as of glycine (first: five_A)",
        "3 modified residues are read as what they are made of (MSE 2, TPO 1)",
    ]
    assert (items.unknown, items.first_unknown) == ({"X": 1}, "five_A")
    assert items.letters["M"] == 3
    dataset = unlabelled([folder / "one.pdb", folder / "five.pdb"])
    data = DataModule(dataset, target_type="masked", split="none", strict=True)
    with pytest.raises(ValueError, match=r"alphabet lacks 'X' .1., first in record 'five_A'"):
        data.setup()


def test_other_letters(folder):
    known = unlabelled(folder / "one.pdb", alphabet="MQIFVKTLGEPS")
    assert known[0].token.tolist() != unlabelled(folder / "one.pdb")[0].token.tolist()
    assert known[0].text == SEQUENCE


def test_long_chains_are_cut(folder):
    data = unlabelled(folder / "one.pdb", max_length=15)[0]
    assert (data.num_nodes, data.cut) == (15, 5)


def test_targets_of_residues(folder):
    """The B factor that a file has itself, also where a chain is cut, or labels of a table."""
    factors = ProteinStructures(
        folder / "two.cif.gz", target_column="b_factor", target_level="node", max_length=10
    )
    assert factors[1].y.tolist() == [[float(n)] for n in range(1, 11)]
    rows = [["one", "HHHHHHHHHHEEEEEEEEEE"], ["two", "HE"]]
    table = table_of(folder, ["structure", "state"], rows)
    labels = ProteinStructures(
        table, target_column="state", target_level="node", target_type="classification"
    )
    assert names(labels) == ["one_A"]
    assert labels[0].y.flatten().tolist() == [1.0] * 10 + [0.0] * 10
    assert "2 values for 12 nodes" in labels.items.rejected[0].reason


def test_files_are_read_once(folder, monkeypatch):
    """What was read is kept in parts, so that an interrupted reading goes on; what has changed is
    read again."""
    read = []
    original = files._read_file

    def counted(file):
        if file.name == broken:
            raise KeyboardInterrupt
        read.append(file.name)
        return original(file)

    monkeypatch.setattr(files, "_read_file", counted)
    monkeypatch.setattr(files, "CHUNK", 2)
    broken = "two.cif.gz"
    with pytest.raises(KeyboardInterrupt):
        unlabelled(folder).load()
    assert read == ["three.ent.gz", "four.mmcif", "one.pdb"]
    broken = None
    assert len(unlabelled(folder).load().graphs) == 7
    assert read[3:] == ["one.pdb", "two.cif.gz"]
    unlabelled(folder).load()
    assert len(read) == 5
    proteins.write(folder / "one.pdb", protein(HAIRPIN[:9]))
    assert unlabelled(folder).load().graphs[4].num_nodes == 9
    assert read[5:] == ["one.pdb", "two.cif.gz"]


def test_graphs_are_kept_until_an_option_changes(folder):
    table = table_of(folder, ["structure", "t"], [["one", 1.0], ["two", 2.0]])
    digests = {
        ProteinStructures(table, target_column="t", **options).digest()
        for options in ({}, {"cutoff": 7}, {"num_radial": 8}, {"max_length": 9}, {"chains": "A"})
    }
    assert len(digests) == 5
    before = ProteinStructures(table, target_column="t").digest()
    assert before in digests
    os.utime(folder / "one.pdb", (0, 0))
    assert ProteinStructures(table, target_column="t").digest() not in digests


def test_all_cores_read_the_same(folder, monkeypatch):
    alone = unlabelled(folder).items.graphs
    monkeypatch.setattr(files, "FEW", 1)
    os.utime(folder / "one.pdb", (0, 0))  # so that it is read again
    for one, other in zip(alone, unlabelled(folder).items.graphs, strict=True):
        assert torch.equal(one.pos, other.pos)
        assert torch.equal(one.edge_attr, other.edge_attr)


def test_without_a_structure_or_column(folder, tmp_path):
    (tmp_path / "bare").mkdir()
    with pytest.raises(ValueError, match=r"bare holds no file of a structure \(.pdb, .ent"):
        unlabelled(tmp_path / "bare").load()
    with pytest.raises(FileNotFoundError, match=r"none.pdb does not exist"):
        unlabelled(tmp_path / "none.pdb").load()
    table = table_of(folder, ["structure", "t"], [["one", 1.0]])
    for option in ("structure_column", "chain_column", "target_column"):
        dataset = ProteinStructures(table, **{"target_column": "t", option: "wrong"})
        with pytest.raises(ValueError, match=rf"no column 'wrong' \(data.{option}\)"):
            dataset.load()
        assert "_rows" not in vars(dataset)  # it is told before anything long
    with pytest.raises(ValueError, match="names no target to train on"):
        ProteinStructures(folder).load()
    with pytest.raises(ValueError, match="target_level must be one of graph, node, got 'chain'"):
        ProteinStructures(folder, target_level="chain")
    with pytest.raises(ValueError, match="max_length must be at least 1, got 0"):
        ProteinStructures(folder, max_length=0)


def test_another_file_for_a_trained_model(folder):
    """A folder, or a table in other columns, is read as the model's own was."""
    table = table_of(folder, ["structure", "part", "t"], [["one", "A", 1.0], ["two", "", 2.0]])
    options = {"cutoff": 7.0, "num_radial": 4, "max_length": 11, "chain_column": "part"}
    data = DataModule(ProteinStructures(table, target_column="t", **options), split="none")
    other = data.for_model(data.inputs(), path=folder)
    other.setup()
    assert [graph.name for graph in other.graphs] == CHAINS
    assert {graph.num_nodes for graph in other.graphs} == {11}
    assert other.graphs[0].edge_attr.size(1) == 5
    assert all(graph.y.isnan().all() for graph in other.graphs)
    new = folder / "new.csv"
    write_table(new, ["structure", "part", "u"], [["two", "B", "5"]])
    other = data.for_model(data.inputs(), path=new, target_column="u")
    other.setup()
    assert [graph.y.item() for graph in other.graphs] == [5.0]
    assert [graph.name for graph in other.graphs] == ["two_B"]
