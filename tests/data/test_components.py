"""Several molecules a row: one graph whose parts are told apart."""

import numpy as np
import pytest
import torch
from torch_geometric.transforms import AddRandomWalkPE
from torch_geometric.utils import from_smiles

from gia.data import DataModule, LaplacianPE, Molecules, join_components
from gia.data.components import of_components
from gia.data.datasets.molecules import to_graph
from gia.data.descriptors import rdkit_descriptors
from gia.data.fingerprints import morgan_fingerprints

ACIDS = ["CC(=O)O", "CCC(=O)O", "OC(=O)c1ccccc1", "CCCCC(=O)O", "ClCC(=O)O"]
SOLVENTS = ["O", "CCO", "c1ccccc1", "ClC(Cl)Cl"]
PAIRS = [(acid, solvent) for acid in ACIDS for solvent in SOLVENTS]
FAR = {"val_fraction": 0.2, "test_fraction": 0.2}
BOTH = ["solute", "solvent"]


@pytest.fixture
def table(tmp_path):
    """Makes the dataset of a table of pairs; its target is the row."""

    def make(pairs=PAIRS, columns=BOTH, header="solute,solvent,y", **options):
        file = tmp_path / "pairs.csv"
        rows = [f"{','.join(pair)},{i}" for i, pair in enumerate(pairs)]
        file.write_text("\n".join([header, *rows, ""]))
        return Molecules(file, columns, "y", **options)

    return make


def test_the_parts_are_the_molecules_without_an_edge_between_them(table):
    for (first, second), graph in zip(PAIRS, table(), strict=True):
        parts = [to_graph(first), to_graph(second)]
        sizes = [part.num_nodes for part in parts]
        assert graph.component.tolist() == [0] * sizes[0] + [1] * sizes[1]
        assert torch.equal(graph.x, torch.cat([part.x for part in parts]))
        assert torch.equal(graph.edge_attr, torch.cat([part.edge_attr for part in parts]))
        shifted = [parts[0].edge_index, parts[1].edge_index + sizes[0]]
        assert torch.equal(graph.edge_index, torch.cat(shifted, 1))
        assert graph.text == f"{parts[0].text} {parts[1].text}"
        assert "batch" not in graph
        assert "ptr" not in graph


def test_three_molecules_and_joined_graphs_that_are_joined_again():
    water, ethanol = to_graph("O"), to_graph("CCO")
    nested = join_components([join_components([water, ethanol]), ethanol])
    flat = join_components([water, ethanol, ethanol])
    assert nested.component.tolist() == flat.component.tolist() == [0, 1, 1, 1, 2, 2, 2]
    assert torch.equal(nested.edge_index, flat.edge_index)
    assert nested.text == flat.text == "O CCO CCO"
    with pytest.raises(ValueError, match=r"at least one graph"):
        join_components([])


def test_encodings_are_those_of_each_molecule_alone(table):
    made = DataModule(table(), rwse=5, laplacian=3, split="none")
    made.setup()
    for (first, second), graph in zip(PAIRS, made.graphs, strict=True):
        for encode in (AddRandomWalkPE(5), LaplacianPE(3)):
            alone = [encode(to_graph(smiles))[encode.attr_name] for smiles in (first, second)]
            torch.testing.assert_close(graph[encode.attr_name], torch.cat(alone))


def test_one_column_in_a_list_is_one_column(table):
    one, several = table(columns="solute"), table(columns=["solute"])
    assert one.digest() == several.digest()
    assert "component" not in several[0]
    assert DataModule(several, **FAR).inputs()["encodings"] == {}


def test_order_counts_in_what_is_kept(table):
    there, back = table(), table(columns=BOTH[::-1])
    assert there.digest() != back.digest()
    for _ in range(2):  # read, then out of the cache
        assert table()[1].text == "CC(=O)O CCO"
        assert table(columns=BOTH[::-1])[1].text == "CCO CC(=O)O"
        assert table()[1].component.tolist() == [0, 0, 0, 0, 1, 1, 1]
        assert table().items.components == {"solute": "smiles", "solvent": "smiles"}


def test_a_row_without_one_of_its_molecules_is_told(table):
    pairs = [*PAIRS, ("CCO", ""), ("", "O"), ("CCO", "C1CC"), ("C1CC", "")]
    data = DataModule(table(pairs), **FAR)
    data.setup()
    assert len(data.graphs) == 20
    assert {entry.row: entry.reason for entry in data.items.rejected} == {
        20: "'solvent': the SMILES is empty",
        21: "'solute': the SMILES is empty",
        22: "'solvent': rdkit rejects 'C1CC': it is not SMILES",
        23: "'solute': rdkit rejects 'C1CC': it is not SMILES; 'solvent': the SMILES is empty",
    }
    with pytest.raises(
        ValueError, match=r"strict=true, but 4 rows .*row 20 .*'solvent': the SMILES"
    ):
        DataModule(table(pairs), strict=True, **FAR).setup()


def test_columns_are_checked(table):
    for columns, message in (
        (
            ["solute", "solvnt"],
            r"no column 'solvnt' .*mean 'data.smiles_column=\[solute,solvent\]'",
        ),
        (["solute", "solute"], "data.smiles_column names 'solute' twice"),
        ([], "data.smiles_column names no column"),
        (None, "data.smiles_column names no column"),
    ):
        with pytest.raises(ValueError, match=message):
            table(columns=columns).load()
    with pytest.raises(ValueError, match=r"the 1 cells of 'solvent' are InChIs"):
        table([("C", "InChI=1S/CH4/h1H4")]).load()


def test_a_row_is_its_molecules_in_their_order(table):
    data = DataModule(table([*PAIRS, ("OC(C)=O", "OCC"), ("CCO", "CC(=O)O")]), **FAR)
    summary = data.summary()
    assert summary["duplicates"] == 1  # written otherwise; but not the other way round
    assert summary["conflicting"]["y"]["rows"] == [1, 20]
    part = {int(graph.row): int(p) for graph, p in zip(data.graphs, data.split.part, strict=True)}
    assert part[1] == part[20]


def of_parts(data, place):
    """The molecules of one column, in each part of the split."""
    data.setup()
    return [
        {graph.text.split(" ")[place] for graph in data.part(name)}
        for name in ("train", "val", "test")
    ]


@pytest.mark.parametrize("place", [0, 1])
def test_a_split_can_keep_the_molecules_of_one_column_together(table, place):
    column = BOTH[place]
    data = DataModule(table(), compared_column=column, val_fraction=0.25, test_fraction=0.25)
    train, val, test = of_parts(data, place)
    assert not train & val | train & test | val & test
    assert f"the split compares {column!r} alone" in " ".join(data.summary()["notes"])
    apart = of_parts(DataModule(table(), val_fraction=0.25, test_fraction=0.25), place)
    assert apart[0] & apart[2]  # elsewhere only whole rows are


def test_scaffolds_are_those_of_the_first_column_or_of_the_one_that_is_named(table):
    rings = ["C1CCCCC1", "c1ccccc1", "C1CCCC1", "c1ccncc1", "C1CC1"]
    solutes = [ring + tail for ring in rings for tail in ("", "C", "CC", "O")]
    pairs = [(solute, rings[i % 5]) for i, solute in enumerate(solutes)]
    first = DataModule(table(pairs), split="scaffold", **FAR)
    second = DataModule(table(pairs), split="scaffold", compared_column="solvent", **FAR)
    assert "compares 'solute' alone" in " ".join(first.summary()["notes"])
    assert [int(g) for g in first.split.group] == [i // 4 for i in range(20)]
    second.setup()
    assert [int(g) for g in second.split.group] == [i % 5 for i in range(20)]
    with pytest.raises(ValueError, match=r"compared_column=y with .* one of solute, solvent"):
        DataModule(table(), compared_column="y", **FAR).setup()
    with pytest.raises(ValueError, match=r"must be left out: a row is one molecule"):
        DataModule(table(columns="solute"), compared_column="solute", **FAR).setup()


def test_descriptors_of_each_molecule(table):
    data = DataModule(table(), features=["rdkit_2d", "morgan"], **FAR)
    names, first = rdkit_descriptors([acid for acid, _ in PAIRS])
    _, second = rdkit_descriptors([solvent for _, solvent in PAIRS])
    found = data.inputs()["feature_names"]
    assert found == [f"{name}_1" for name in names] + [f"{name}_2" for name in names]
    x = torch.cat([graph.graph_features for graph in data.graphs]).numpy()
    bits = [morgan_fingerprints(side, counts=False) for side in zip(*PAIRS, strict=True)]
    np.testing.assert_allclose(x, np.concatenate([first, second, *bits], 1).astype(np.float32))


def test_descriptors_as_targets(table):
    dataset = Molecules(table().path, BOTH, computed_targets="rdkit_2d")
    found = dataset.load()
    names, values = rdkit_descriptors([solvent for _, solvent in PAIRS])
    assert [graph.y[0, found.target_names.index("MolWt_2")] for graph in found.graphs] == (
        pytest.approx(values[:, names.index("MolWt")])
    )


def test_a_model_of_pairs_is_given_pairs(table, tmp_path):
    data = DataModule(table(), **FAR)
    inputs = data.inputs()
    assert inputs["encodings"] == {"component": 2}
    new = tmp_path / "new.csv"
    new.write_text("a,b,solute\nCCO,O,CCC\nCCO,,CCC\n")
    other = data.for_model(inputs, new, smiles_column=["a", "b"])
    other.setup()
    assert [graph.text for graph in other.graphs] == ["CCO O"]
    assert [entry.row for entry in other.items.rejected] == [1]
    with pytest.raises(
        ValueError, match=r"were 2 in the training of the model, and here they are 1: give"
    ):
        data.for_model(inputs, new, smiles_column="a").setup()
    with pytest.raises(
        ValueError, match=r"were 2 in the training of the model, and here they are 3: give"
    ):
        data.for_model(inputs, new, smiles_column=["a", "b", "solute"]).setup()
    with pytest.raises(ValueError, match=r"new\.csv has no column 'solvent'"):
        data.for_model(inputs, new).setup()
    alone = DataModule(table(columns="solute"), **FAR)
    with pytest.raises(
        ValueError, match=r"were 1 in the training of the model, and here they are 2"
    ):
        alone.for_model(alone.inputs(), new, smiles_column=["a", "b"]).setup()


def test_pairs_of_pyg():
    graphs = []
    for i, (first, second) in enumerate([*PAIRS, ("C1CC1", "O"), ("C1CCC1", "O")]):
        graph = join_components([from_smiles(first), from_smiles(second)])
        graph.y = torch.tensor([[float(i)]])
        graphs.append(graph)
    scaffold = {"split": "scaffold", "val_fraction": 0.05, "test_fraction": 0.05}
    data = DataModule(graphs, features="rdkit_2d", **scaffold)
    assert data.inputs()["encodings"] == {"component": 2}
    assert data.graphs[1].text == "CC(=O)O CCO"
    assert "MolWt_2" in data.inputs()["feature_names"]
    assert "compares 'component 0' alone" in " ".join(data.summary()["notes"])
    for graph in graphs:  # parts of another meaning, of one molecule
        graph.smiles = "CCO"
    own = DataModule(graphs, split="none")
    own.setup()
    assert own.items.components == {}
    graphs[3].component = graphs[3].component - 1
    with pytest.raises(ValueError, match=r"row 3 \(item_3\) has -1 in component"):
        DataModule(graphs, **FAR).setup()


def test_a_transform_that_loses_the_parts_is_refused(table):
    def anew(data):
        return type(data)(x=data.x, edge_index=data.edge_index)

    with pytest.raises(ValueError, match=r"left out component, which tells solute from solvent"):
        DataModule(table(), transform=anew, **FAR).setup()


def test_items_of_other_numbers_of_molecules_are_no_table():
    def describe(texts):
        return ["letters"], np.array([[len(text)] for text in texts])

    for texts in (["CCO", "CC CCO"], ["CC CCO", "CCO"]):
        with pytest.raises(ValueError, match="all items must have as many molecules"):
            of_components(describe, texts)
