"""Features of whole graphs: whence they come, and what is said of bad ones."""

import numpy as np
import pytest
import torch
from torch_geometric.data import Batch, Data

from gia.data import DataModule, Molecules, Record, Records
from gia.data.descriptors import rdkit_descriptors
from gia.data.fingerprints import morgan_fingerprints
from gia.data.graph_features import feature_statistics

SMILES = ["C" * n + end for n in range(1, 6) for end in ("O", "N", "Cl", "F")]
FAR = {"val_fraction": 0.2, "test_fraction": 0.2}


@pytest.fixture
def table(tmp_path):
    """Makes a datamodule of molecules with a target and a column ``t``."""

    def make(cells=None, name="molecules.csv", **options):
        cells = [10 * i for i in range(len(SMILES))] if cells is None else cells
        rows = [f"{s},{i},{t}" for i, (s, t) in enumerate(zip(SMILES, cells, strict=True))]
        file = tmp_path / name
        file.write_text("\n".join(["smiles,y,t", *rows, ""]))
        return DataModule(Molecules(file, "smiles", "y"), **FAR | options)

    return make


def features(data):
    data.setup()
    return torch.cat([graph.graph_features for graph in data.graphs])


def test_descriptors_stand_in_each_item(table):
    data = table(features="rdkit_2d")
    names, values = rdkit_descriptors([graph.text for graph in data.part("train")])
    torch.testing.assert_close(
        torch.cat([graph.graph_features for graph in data.train_data]),
        torch.from_numpy(values).float(),
    )
    inputs = data.inputs()
    assert (inputs["graph_channels"], inputs["feature_names"]) == (len(names), names)
    assert next(iter(data.train_dataloader())).graph_features.shape == (12, len(names))
    again = table(features="rdkit_2d")  # kept in the cache
    assert torch.equal(features(data), features(again))


def test_statistics_are_of_the_training_part_alone(table):
    data = table(features="columns", feature_columns="t")
    inputs, t = data.inputs(), np.array([10 * graph.row for graph in data.train_data])
    assert inputs["feature_names"] == ["t"]
    assert inputs["feature_center"] == pytest.approx([np.median(t)])
    quarter, three_quarters = np.quantile(t, [0.25, 0.75])
    assert inputs["feature_scale"] == pytest.approx([three_quarters - quarter])
    assert features(data)[:, 0].tolist() == [10 * graph.row for graph in data.graphs]


def test_several_kinds_stand_in_a_row_and_bits_last(table, tmp_path):
    np.savez(tmp_path / "f.npz", a=np.arange(20), b=np.ones((20, 2)))
    data = table(
        features=["morgan", "columns", "file"],
        feature_columns=["t"],
        features_path=tmp_path / "f.npz",
    )
    x = features(data)
    assert data.inputs()["feature_names"] == ["t", "a", "b_0", "b_1"]
    assert data.inputs()["graph_channels"] == 4 + 2048
    assert x[3, :4].tolist() == [30, 3, 1, 1]
    texts = [graph.text for graph in data.graphs]
    assert torch.equal(x[:, 4:], torch.from_numpy(morgan_fingerprints(texts, counts=False)))
    assert set(x[:, 4:].unique().tolist()) == {0, 1}
    note = "2 of 4 features are the same throughout the training part, and not used: b_0, b_1"
    assert note in data.summary()["notes"]


def test_a_table_of_features(table, tmp_path):
    file = tmp_path / "f.csv"
    file.write_text("\n".join(["a;b", *(f"{i};{i},5" for i in range(20))]))
    data = table(features="file", features_path=file)
    assert features(data)[4].tolist() == [4, 4.5]
    assert data.inputs()["feature_names"] == ["a", "b"]
    file.write_text("\n".join(["a", *map(str, range(19))]))
    with pytest.raises(ValueError, match="has 19 rows, but the data has 20: give one row"):
        table(features="file", features_path=file).setup()
    np.savez(tmp_path / "f.npz", a=np.arange(21.0))
    with pytest.raises(ValueError, match=r"f\.npz has 21 rows, but the data has 20"):
        table(features="file", features_path=tmp_path / "f.npz").setup()
    np.savez(tmp_path / "f.npz", a=np.array(["x"] * 20))
    with pytest.raises(ValueError, match="a is \\[20\\] of <U1, and features are numbers"):
        table(features="file", features_path=tmp_path / "f.npz").setup()
    with pytest.raises(FileNotFoundError, match=r"data\.features_path=.*none\.npz does not exist"):
        table(features="file", features_path=tmp_path / "none.npz").setup()


def test_what_is_no_number_is_told_by_row(table):
    cells = [10 * i for i in range(20)]
    cells[3], cells[5], cells[7], cells[9] = "warm", "", "inf", "1e40"
    data = table(cells, features="columns", feature_columns="t")
    said = {entry["row"]: entry["reason"] for entry in data.summary()["filled"]}
    assert said == {3: "t is 'warm'", 5: "t is missing", 7: "t is 'inf'", 9: "t is '1e40'"}
    assert all(np.isfinite(data.inputs()["feature_center"] + data.inputs()["feature_scale"]))
    with pytest.raises(ValueError, match=r"strict=true, but 4 rows .*t is 'warm'"):
        table(cells, features="columns", feature_columns="t", strict=True).setup()


def test_a_column_of_text_is_refused_by_row(table):
    cells = ["", "water", *["ethanol"] * 18]
    with pytest.raises(ValueError, match=r"column 't' holds no number, in row 1 'water'.*0 and 1"):
        table(cells, features="columns", feature_columns="t").setup()
    with pytest.raises(ValueError, match=r"no column 'T' \(data.feature_columns\)"):
        table(features="columns", feature_columns="T").setup()


def test_descriptors_that_rdkit_cannot_say_are_told(molecules):
    rows = [(s, i) for i, s in enumerate([*SMILES, "[Na+].[Cl-]"])]
    data = molecules(*rows, features="rdkit_2d", **FAR)
    [entry] = data.summary()["filled"]
    assert entry["row"] == 20
    assert entry["reason"].startswith("BCUT2D_MWHI is nan, ")
    assert entry["reason"].endswith(" and 5 more")


def test_features_that_items_bring(monkeypatch):
    graphs = [
        Data(x=torch.ones(2, 1), y=torch.tensor([float(i)]), graph_features=torch.tensor([i, 5]))
        for i in range(10)
    ]
    data = DataModule(graphs, **FAR)
    assert data.inputs()["graph_channels"] == 2
    assert features(data)[7].tolist() == [7, 5]
    assert Batch.from_data_list(data.graphs).graph_features.shape == (10, 2)
    graphs[4].graph_features = torch.ones(1, 3)
    with pytest.raises(ValueError, match=r"row 4 \(item_4\) has graph_features \[\*, 3\]"):
        DataModule(graphs, **FAR).setup()


class Count:
    """A transform of the user's that gives features at each fetch."""

    def __call__(self, data):
        data.graph_features = torch.tensor([data.num_nodes, data.num_edges])
        return data


@pytest.mark.parametrize("when", ["transform", "pre_transform"])
def test_features_that_a_transform_gives(table, when):
    data = table(**{when: Count()})
    train = torch.cat([graph.graph_features for graph in data.train_data])
    assert data.inputs()["feature_names"] == ["graph_features_0", "graph_features_1"]
    assert train[:, 0].tolist() == [graph.num_nodes for graph in data.train_data]
    center = train.float().quantile(0.5, dim=0).tolist()
    assert data.inputs()["feature_center"] == pytest.approx(center)


def test_a_transform_that_begins_anew_keeps_them(table):
    def anew(data):
        return Data(x=data.x, edge_index=data.edge_index)

    data = table(features="columns", feature_columns="t", transform=anew)
    assert data.train_data[0].graph_features.item() == 10 * data.train_data[0].row


def test_peptides():
    records = [Record(f"p{i}", "AKW" * (i + 1) + "X", cells=[str(i)]) for i in range(10)]
    dataset = Records(records, target_names=["y"])
    data = DataModule(dataset, features="peptide", **FAR)
    assert data.inputs()["feature_names"][0] == "length"
    assert features(data)[:, 0].tolist() == [3 * (i + 1) + 1 for i in range(10)]
    bases = [Record(f"p{i}", "ACGT" * (i + 1), cells=[str(i)]) for i in range(10)]
    with pytest.raises(ValueError, match="describes peptides, and these look like DNA"):
        DataModule(Records(bases, target_names=["y"]), features="peptide", **FAR).setup()
    with pytest.raises(ValueError, match="describes molecules, and these are sequences"):
        DataModule(dataset, features="rdkit_2d", **FAR).setup()


def test_targets_of_nodes_refuse_them():
    graphs = [Data(x=torch.ones(3, 1), y=torch.rand(3)) for _ in range(10)]
    for graph in graphs:
        graph.graph_features = torch.ones(1, 2)
    with pytest.raises(ValueError, match="of whole graphs, and what is to be predicted"):
        DataModule(graphs, **FAR).setup()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"features": "rdkit"},
            "must be some of rdkit_2d, morgan, peptide, elements, columns, file, got",
        ),
        ({"features": "columns"}, "data.features=columns and data.feature_columns=... belong"),
        ({"feature_columns": "t"}, "data.features=columns and data.feature_columns=... belong"),
        ({"features": "file"}, "data.features=file and data.features_path=... belong together"),
    ],
)
def test_options_are_checked(table, options, message):
    with pytest.raises(ValueError, match=message):
        table(**options)


def test_statistics_leave_out_what_is_no_number():
    values = [[1.0, float("nan"), 2], [3.0, float("inf"), 2], [float("nan"), float("nan"), 2]]
    graphs = [Data(graph_features=torch.tensor([row])) for row in values]
    found = feature_statistics(graphs, ["a", "b", "c"])
    assert found == {"feature_center": [2, 0, 2], "feature_scale": [1, 0, 0]}


def test_outliers_move_neither_centre_nor_scale():
    values = torch.tensor([[0.0, 0, 1], [1, 0, 2], [2, 0, 3], [3, 0, 4], [1e30, 6, -1e30]])
    graphs = [Data(graph_features=row[None]) for row in values]
    found = feature_statistics(graphs, ["a", "rare", "c"])
    # A count that is mostly 0 has no distance of quartiles: half of its range stands for it.
    assert found == {"feature_center": [2, 0, 2], "feature_scale": [2, 3, 2]}


def test_a_model_is_given_the_features_that_it_knows(table, tmp_path):
    data = table(features="columns", feature_columns="t")
    inputs = data.inputs()
    new = tmp_path / "new.csv"
    new.write_text("t,smiles\n7,CCO\n,CCN\n")
    other = data.for_model(inputs, new)
    assert features(other)[0].item() == 7
    assert [entry.reason for entry in other.items.filled] == ["t is missing"]
    assert other.inputs()["feature_center"] == inputs["feature_center"]
    new.write_text("smiles\nCCO\n")
    with pytest.raises(ValueError, match=r"new.csv has no column 't' \(data.feature_columns\)"):
        data.for_model(inputs, new).setup()
    with pytest.raises(ValueError, match=r"the feature of graphs 't' where the .* 'none'"):
        table().for_model(inputs).setup()
    np.savez(tmp_path / "f.npz", a=np.arange(20))
    data = table(features="file", features_path=tmp_path / "f.npz")
    with pytest.raises(ValueError, match=r"give data.features_path=... with a row for each row of"):
        data.for_model(data.inputs(), new)
    np.savez(tmp_path / "g.npz", a=np.array([4.0]))
    other = data.for_model(data.inputs(), new, features_path=tmp_path / "g.npz")
    assert features(other).tolist() == [[4.0]]
    np.savez(tmp_path / "g.npz", b=np.array([4.0]))
    with pytest.raises(ValueError, match="with the feature of graphs 'a' where the data has 'b'"):
        data.for_model(data.inputs(), new, features_path=tmp_path / "g.npz").setup()


@pytest.fixture
def unmeasured(tmp_path):
    """Makes a datamodule of molecules without a measurement."""
    file = tmp_path / "unmeasured.csv"
    file.write_text("\n".join(["smiles", *SMILES]))

    def make(computed=None, **options):
        dataset = Molecules(file, "smiles", computed_targets=computed, **options)
        return DataModule(dataset, features="rdkit_2d", **FAR | options)

    return make


def test_descriptors_that_are_learned_are_not_told(unmeasured):
    """The same numbers as targets and beside the graph would leave nothing to learn."""
    with pytest.raises(ValueError, match="the same numbers: leave them out with data"):
        unmeasured("rdkit_2d").setup()


def test_hidden_nodes_are_learned_without_features(unmeasured):
    assert unmeasured(target_type="masked").inputs()["graph_channels"] == 0
