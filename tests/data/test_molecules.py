"""SMILES as graphs."""

import sys

import pytest
import torch
from torch_geometric.utils import from_smiles

from gia.data import Molecules
from gia.data.datasets.molecules import to_graph


@pytest.mark.parametrize("smiles", ["CC(=O)Oc1ccccc1C(=O)O", "F/C=C/F", "[Na+].[Cl-]", "[He]", "C"])
def test_graphs_are_those_of_pyg(smiles):
    ours, theirs = to_graph(smiles), from_smiles(smiles)
    for key in ("x", "edge_index", "edge_attr"):
        assert torch.equal(ours[key], theirs[key])
    assert (ours.x.dtype, ours.edge_index.dtype) == (torch.int64, torch.int64)


def test_one_molecule_written_twice_has_one_text():
    assert to_graph("OCC").text == to_graph("C(C)O").text == "CCO"


@pytest.mark.parametrize(
    ("smiles", "reason"),
    [
        ("", "the SMILES is empty"),
        ("C1CC", "rdkit rejects 'C1CC': it is not SMILES"),
        ("CN(C)(C)C", "atom # 1 N, 4, is greater than permitted"),
        ("c1cccc1", "Can't kekulize mol"),
        ("[Fe+7]", r"beyond PyG's features: 7 is not in list"),
    ],
)
def test_what_cannot_be_read_has_a_reason(smiles, reason, capfd):
    with pytest.raises(ValueError, match=reason):
        to_graph(smiles)
    assert capfd.readouterr().err == ""  # rdkit's own log would repeat it


def test_esol(esol):
    table = esol.load()
    assert (len(table.graphs), table.rejected) == (1128, [])
    assert (table.kind, table.level, table.num_rows) == ("smiles", "graph", 1128)
    assert table.graphs[0].name == "Amigdalin"
    assert table.cells[0] == ["-0.77"]
    x = torch.cat([data.x for data in table.graphs])
    edge_attr = torch.cat([data.edge_attr for data in table.graphs])
    assert len(table.node_categories) == x.size(1) == 9
    assert len(table.edge_categories) == edge_attr.size(1) == 3
    assert (x.amax(0) < torch.tensor(table.node_categories)).all()
    assert (edge_attr.amax(0) < torch.tensor(table.edge_categories)).all()
    assert [data.num_nodes for data in table.graphs if not data.num_edges] == [1]  # methane


def test_rejected_rows_keep_their_numbers(bbbp, bbbp_table):
    table = bbbp_table
    assert (len(table.graphs), len(table.rejected)) == (2039, 11)
    rows = [data.row for data in table.graphs] + [entry.row for entry in table.rejected]
    assert sorted(rows) == list(range(2050))
    columns, lines = bbbp.table()
    assert columns == ["BBBP", "smiles"]
    for entry in table.rejected:
        assert repr(lines[entry.row]["smiles"]) in entry.reason
        assert entry.name == f"row_{entry.row}"


def test_a_column_may_go_by_another_name(tmp_path):
    file = tmp_path / "m.csv"
    for header in ("smiles,p_np", "smiles,BBBP"):
        file.write_text(f"{header}\nC,1\n")
        table = Molecules(file, "smiles", "p_np", aliases={"p_np": "BBBP"}).load()
        assert (table.target_names, table.cells) == (["p_np"], [["1"]])


def test_bad_columns_are_named(tmp_path):
    file = tmp_path / "m.csv"
    file.write_text("smiles,logS\nC,1\n")
    with pytest.raises(
        ValueError, match=r"no column 'smile' .*did you mean data.smiles_column=smi"
    ):
        Molecules(file, "smile", "logS").load()
    with pytest.raises(ValueError, match=r"no column 'logD' \(data.target_column\)"):
        Molecules(file, "smiles", ["logS", "logD"]).load()
    with pytest.raises(ValueError, match=r"target_column names no target.*smiles, logS"):
        Molecules(file, "smiles").load()
    assert Molecules(file, "smiles", "logD").load(labelled=False).cells == [[""]]


def test_without_rdkit(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "rdkit", None)
    file = tmp_path / "m.csv"
    file.write_text("smiles,y\nC,1\n")
    with pytest.raises(ImportError, match=r"pip install gia\[chem\]"):
        Molecules(file, "smiles", "y").load()


def test_the_digest_is_of_content_and_options(tmp_path):
    first, second = tmp_path / "a.csv", tmp_path / "b.csv"
    for file in (first, second):
        file.write_text("smiles,y,z\nC,1,2\n")
    digest = Molecules(first, "smiles", "y").digest()
    assert digest == Molecules(second, "smiles", "y").digest()
    assert digest != Molecules(first, "smiles", "z").digest()
    second.write_text("smiles,y,z\nC,1,3\n")
    assert digest != Molecules(second, "smiles", "y").digest()
