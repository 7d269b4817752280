"""Cells of a table as targets."""

import math

import pytest
import torch
from torch_geometric.data import Data

from gia.data import Items
from gia.data.targets import read_targets


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
