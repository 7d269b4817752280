"""Cells of a table as targets."""

import math

import pytest
import torch
from torch_geometric.data import Data

from gia.data import Items
from gia.data.targets import classes_of_each, read_targets

INF = math.inf


def read(*cells, target_type="regression", class_names=None):
    cells = [cell if isinstance(cell, list) else [cell] for cell in cells]
    graphs = [Data(x=torch.zeros(2, 1), row=10 * i, name=f"g{i}") for i in range(len(cells))]
    names = [f"t{i}" for i in range(len(cells[0]))]
    return read_targets(Items(graphs, cells, target_names=names), target_type, class_names)


def values(targets):
    return [None if math.isnan(y) else y for y in torch.cat(targets.y)[:, 0].tolist()]


def test_numbers():
    targets = read("1", " -2.5 ", "1e3", "", "NaN", "n/a", "inf", "-inf", "1e39", "high", "1,5")
    assert values(targets) == [1, -2.5, 1000] + [None] * 8
    assert [(entry.row, entry.reason) for entry in targets.missing] == [
        (row, "no target 't0'") for row in (30, 40, 50)
    ]
    assert [entry.row for entry in targets.masked] == [60, 70, 80, 90, 100]
    assert targets.masked[0].reason == "target 't0': 'inf' is not finite in single precision"
    assert targets.masked[3].reason == "target 't0': 'high' is not a number"
    assert targets.class_names == []


def test_several_targets_at_once():
    targets = read(["1", "2"], ["", "3"], ["x", ""])
    assert [y.shape for y in targets.y] == [(1, 2)] * 3
    assert torch.cat(targets.y).isnan().tolist() == [[0, 0], [1, 0], [1, 1]]
    assert [entry.reason for entry in targets.missing] == ["no target 't0'", "no target 't1'"]
    assert targets.masked[0].reason == "target 't0': 'x' is not a number"


@pytest.mark.parametrize(
    ("cells", "names", "numbers"),
    [
        (["b", "a", "", "b"], ["a", "b"], [1, 0, None, 1]),
        (["10", "9", "9.0", "-1"], ["-1", "9", "10"], [2, 1, 1, 0]),
        (["1", "0", "inf", "nan"], ["0", "1"], [1, 0, None, None]),
        (["1", "x"], ["1", "x"], [0, 1]),
    ],
)
def test_classes(cells, names, numbers):
    targets = read(*cells, target_type="classification")
    assert targets.class_names == names
    assert values(targets) == numbers


def test_classes_of_a_trained_model():
    targets = read("1.0", "2", target_type="classification", class_names=["0", "1"])
    assert targets.class_names == ["0", "1"]
    assert values(targets) == [1, None]
    assert targets.masked[0].reason == "target 't0': '2' is not one of 0, 1"


@pytest.mark.parametrize(
    ("cell", "bounds"),
    [
        *[("<0.5", [-INF, 0.5]), ("> 10", [10, INF]), (">=1e3", [1000, INF])],
        *[("≤ -3", [-INF, -3]), ("<<1", [-INF, 1]), (" >5. ", [5, INF])],
    ],
)
def test_a_bound_is_known_as_one(cell, bounds):
    targets = read("1", cell, "", target_type="regression")
    assert values(targets) == [1, None, None]
    assert torch.cat(targets.bounds)[:, 0].tolist() == [[-INF, INF], bounds, [-INF, INF]]
    assert targets.masked == []
    assert [entry.row for entry in targets.missing] == [20]  # a bound is no missing value
    assert read("1", "2").bounds == []
    assert read("1", cell, target_type="classification").bounds == []


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("<0,5", "is a bound with a comma: write its number with a point"),
        (">1e60", "is not finite in single precision"),
        ("<low", "is not a number"),
        ("<", "is not a number"),
    ],
)
def test_a_bound_that_cannot_be_read_is_masked(cell, reason):
    targets = read("1", cell)
    assert (values(targets), targets.bounds) == ([1, None], [])
    assert [(entry.row, entry.reason) for entry in targets.masked] == [
        (10, f"target 't0': {cell!r} {reason}")
    ]


@pytest.mark.parametrize("cell", ["1_000", "1,234.5", "−1", "1..2", "0x10", "y"])
def test_what_pandas_takes_for_text_is_no_number(cell):
    targets = read("1", cell)
    assert values(targets) == [1, None]
    assert targets.masked[0].reason == f"target 't0': {cell!r} is not a number"


def test_words_may_be_classes():
    targets = read("HA", "NA", "None", "", "NA", target_type="classification")
    assert targets.class_names == ["HA", "NA", "None"]
    assert values(targets) == [0, 1, 2, None, 1]
    assert targets.notes == [
        "2 cells of 't0' read 'NA': taken as a class; data.missing=[NA] makes them missing",
        "1 cell of 't0' reads 'None': taken as a class; data.missing=[None] makes them missing",
    ]


def test_words_among_classes_that_are_numbers_are_missing():
    targets = read("1", "0", "NA", "nan", target_type="classification")
    assert targets.class_names == ["0", "1"]
    assert values(targets) == [1, 0, None, None]
    assert [entry.row for entry in targets.missing] == [20, 30]
    assert targets.notes[0] == (
        "1 cell of 't0' reads 'NA': taken as missing, as the other classes are numbers"
    )


def test_a_trained_model_knows_its_words():
    known = {"target_type": "classification", "class_names": ["HA", "NA"]}
    assert values(read("NA", "HA", **known)) == [1, 0]
    assert read("NA", "1", target_type="classification", class_names=["0", "1"]).masked == []


def test_classes_belong_to_a_target():
    targets = read(["low", "x"], ["high", "y"], ["", "z"], target_type="classification")
    assert targets.class_names == [["high", "low"], ["x", "y", "z"]]
    y = torch.cat(targets.y)
    assert y[:2].tolist() == [[1, 0], [0, 1]]
    assert y[2].isnan().tolist() == [True, False]
    shared = read(["a", "b"], ["b", "a"], target_type="classification")
    assert shared.class_names == ["a", "b"]  # one list where all have the same
    assert classes_of_each(shared.class_names, 2) == [["a", "b"]] * 2
    assert classes_of_each(targets.class_names, 2) == targets.class_names
    again = read(["z", "z"], target_type="classification", class_names=targets.class_names)
    assert again.masked[0].reason == "target 't0': 'z' is not one of high, low"
