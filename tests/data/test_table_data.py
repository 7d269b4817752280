"""From tables to items: what is missing, what is a class, and what is told of it."""

import math

import pytest
import torch
from conftest import SHARED
from torch_geometric.data import Data

from gia.data import DataModule, Molecules, Sequences
from gia.data.splits.file import file_split


@pytest.fixture
def table(tmp_path):
    """A file of this text."""

    def write(text, name="t.csv"):
        file = tmp_path / name
        file.write_text(text, encoding="utf-8")
        return file

    return write


def classes(file, target="y", column="sequence", **options):
    missing = options.pop("missing", ())
    dataset = Sequences(file, column, target, missing=missing)
    return DataModule(dataset, target_type="classification", **{"split": "none"} | options)


def test_a_class_may_be_called_na(shared_data):
    data = classes(SHARED / "cases" / "class_na.csv", "protein")
    summary = data.summary()
    assert data.items.class_names == ["HA", "M2", "NA"]
    assert summary["test"]["classes"] == {"HA": 20, "M2": 20, "NA": 20}
    note = "20 cells of 'protein' read 'NA': taken as a class; data.missing=[NA] makes them missing"
    assert summary["notes"] == [note]
    data = classes(SHARED / "cases" / "class_na.csv", "protein", missing=["NA"])
    assert data.summary()["notes"] == []
    assert data.items.class_names == ["HA", "M2"]
    assert [row.row for row in data.items.rejected] == list(range(1, 60, 3))


def test_words_for_missing_in_numbers_and_texts(table):
    file = table("sequence,y\nMKV,1\nNA,2\nNAN,-999\nMK,n.d.\nM,NA\n")
    data = DataModule(Sequences(file, "sequence", "y", missing=["n.d.", -999]), split="none")
    summary = data.summary()
    assert [graph.text for graph in data.graphs] == ["MKV", "NA"]
    assert [row["reason"] for row in summary["rejected"]] == ["no target 'y'"] * 3
    assert summary["notes"] == [
        "1 cell of 'sequence' reads 'NA': taken as a text; data.missing=[NA] makes them missing",
        "1 cell of 'sequence' reads 'NAN': taken as a text; data.missing=[NAN] makes them missing",
    ]


def test_what_is_missing_is_missing_in_another_file_too(table):
    file = table("smiles,y\nC,1\nCC,none measured\nCCC,3\n")
    data = DataModule(Molecules(file, "smiles", "y", missing=["none measured"]), split="none")
    new = data.for_model(data.inputs(), file)
    new.setup()
    assert torch.cat([graph.y for graph in new.graphs]).isnan().flatten().tolist() == [0, 1, 0]
    assert new.items.masked == []


def test_bounds_and_decimal_commas(table):
    data = DataModule(
        Molecules(table("smiles;y\nC;1,5\nCC;<0,5\nN;2\n"), "smiles", "y"), split="none"
    )
    summary = data.summary()
    assert torch.cat([graph.y for graph in data.graphs]).isnan().tolist() == [[0], [1], [0]]
    assert data.graphs[1].y_bounds.tolist() == [[[-math.inf, 0.5]]]
    assert data.graphs[0].y_bounds.isinf().all()
    assert summary["rejected"] == summary["masked"] == []
    assert summary["missing_targets"] == {"y": 0}
    assert sorted(summary["notes"]) == [
        "1 value is a bound of 'y', the first '<0.5' in row 1: they are learned as bounds, and "
        "metrics leave them out",
        "its cells are separated by semicolons",
        "the decimal commas of 'y' are read as points: '1,5' is 1.5",
    ]


@pytest.mark.parametrize(("column", "y"), [(400, -1.167), ("400", -1.167), ([402, 400], -0.167)])
def test_columns_that_are_numbers(shared_data, column, y):
    file = SHARED / "cases" / "number_names.csv"
    data = DataModule(Molecules(file, "smiles", column), split="none")
    data.setup()
    assert data.graphs[0].y[0, 0].item() == pytest.approx(y)
    assert data.inputs()["target_names"] == (
        ["402", "400"] if isinstance(column, list) else ["400"]
    )


def test_every_column_may_be_a_number(table):
    file = table("0,1,2,3\nC,5,a,train\nCC,6,b,val\nCCC,7,c,test\nN,8,d,train\n")
    data = DataModule(Molecules(file, 0, 1, name_column=2), split="given", split_column=3)
    data.setup()
    assert [graph.name for graph in data.graphs] == ["a", "b", "c", "d"]
    assert data.split.part.tolist() == [0, 1, 2, 0]


def test_a_target_is_named_once(table):
    with pytest.raises(ValueError, match=r"data\.target_column names 'y' twice"):
        Molecules(table("smiles,y\nC,1\n"), "smiles", ["y", "y"]).load()


def test_only_words_of_which_there_are_few_may_be_classes(table):
    for cells, advised in ((["high", "low"] * 4, True), ([f"C{i}" for i in range(8)], False)):
        text = "smiles,y\n" + "".join(f"C,{cell}\n" for cell in cells)
        with pytest.raises(ValueError, match="no graph with a target is left") as error:
            DataModule(Molecules(table(text), "smiles", "y"), split="none").setup()
        assert ("task=classification" in str(error.value)) == advised
    text = "smiles,y\n" + "C,<0.5\n" * 8
    message = "all 8 values of 'y' are bounds, the first '<0.5' in row 0: give rows with measured"
    with pytest.raises(ValueError, match=message):
        DataModule(Molecules(table(text), "smiles", "y"), split="none").setup()


@pytest.mark.parametrize(
    ("cell", "what"),
    [
        ("CCO>>CC=O", "reactions"),
        ("CCO>[Cu]>CC=O", "reactions"),
        ("InChI=1S/CH4/h1H4", "InChIs"),
    ],
)
def test_what_stands_instead_of_smiles(table, cell, what):
    told = rf"the 8 cells of 'smiles' are {what}, as row 0, '.*', and not the SMILES of molecules"
    with pytest.raises(ValueError, match=told) as error:
        Molecules(table("smiles,y\n" + f'"{cell}",1\n' * 8), "smiles", "y").load()
    assert str(error.value).count(cell) == 1
    items = Molecules(table(f"smiles,y\nN->[Cu]<-N,1\n{cell},2\n"), "smiles", "y").load()
    assert [entry.row for entry in items.rejected] == [1]
    assert f"is one of {what}" in items.rejected[0].reason


def test_a_given_part_that_is_empty_is_told_by_row(table):
    rows = [[f"{'C' * (i + 1)}", str(i), ["train", "val", "test"][i % 3]] for i in range(30)]
    rows[17][2] = ""

    def data():
        file = table("smiles,y,part\n" + "".join(f"{','.join(row)}\n" for row in rows))
        return DataModule(Molecules(file, "smiles", "y"), split="given", split_column="part")

    with pytest.raises(ValueError, match=r"row 17 goes to ''.* none to leave a row out; 1 of 30"):
        data().setup()
    rows[17][2] = "none"
    left = data()
    assert left.summary()["unused"] == 1
    assert left.split.part.tolist() == [-1 if i == 17 else i % 3 for i in range(30)]


def test_classes_belong_to_a_target(table):
    lines = [
        f"{'ACDEFGHIKL'[i % 10] * 4},{['high', 'low'][i % 2]},{'xyz'[i % 3]}" for i in range(30)
    ]
    lines[4] = "EEEE,,x"
    data = classes(table("\n".join(["sequence,a,b", *lines])), ["a", "b"])
    assert data.inputs()["class_names"] == [["high", "low"], ["x", "y", "z"]]
    assert data.inputs()["out_channels"] == 5
    assert data.summary()["test"]["classes"] == {
        "a: high": 14,
        "a: low": 15,
        "b: x": 11,
        "b: y": 9,
        "b: z": 10,
    }
    other = table("sequence,a,b\nAAAA,low,z\nCCCC,x,x\n", "new.csv")
    new = data.for_model(data.inputs(), other)
    new.setup()
    assert new.graphs[0].y.tolist() == [[1, 2]]
    assert [entry.reason for entry in new.items.masked] == [
        "target 'a': 'x' is not one of high, low"
    ]


def test_a_target_of_one_class_is_named(table):
    file = table("sequence,a,b\n" + "".join(f"{'MKVLA'[i]},{'xy'[i % 2]},z\n" for i in range(5)))
    with pytest.raises(ValueError, match="all values of 'b' are z: leave it out"):
        classes(file, ["a", "b"]).setup()


def test_classes_of_several_targets_of_any_dataset():
    edges = torch.tensor([[0, 1], [1, 0]])
    graphs = [
        Data(x=torch.ones(2, 1), edge_index=edges, y=torch.tensor([[i % 2, 5 + i % 3]]))
        for i in range(30)
    ]
    data = DataModule(graphs, target_type="classification", split="none", batch_size=4)
    assert data.inputs()["class_names"] == [["0", "1"], ["5", "6", "7"]]
    assert data.graphs[2].y.tolist() == [[0, 2]]
    again = data.for_model(data.inputs(), whole=True)
    again.setup()
    assert again.graphs[2].y.tolist() == [[0, 2]]


def test_a_split_file_is_any_table(table):
    for text in (
        "row;split\n0;train\n1;val\n2;test\n",
        "\trow\tsplit\n0\t0\ttrain\n1\t1\tval\n2\t2\ttest\n",
        "train,val,test\n0,1.0,2\n,,\n",
        ",train,val,test\n0,0,1,2\n",
    ):
        split = file_split(table(text), rows=[0, 1, 2], num_rows=3)
        assert split.part.tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match=r"data\.split_file=.*1 of 2 rows do not have the 2 cells"):
        file_split(table("row,split\n0,train\n1,val,x\n"), rows=[0, 1], num_rows=2)
