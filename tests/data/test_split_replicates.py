"""Files that hold several splits, as chemprop writes them."""

import json

import pytest
import torch
from torch_geometric.data import Data

from gia.data import DataModule
from gia.data.splits.file import file_split

REPLICATES = [
    {"train": [0, 1, 2], "val": [3], "test": [4, 5]},
    {"train": "0-1, 5", "val": "3", "test": [2, "4"]},
]


@pytest.fixture
def file(tmp_path):
    def write(splits):
        path = tmp_path / "splits.json"
        path.write_text(json.dumps(splits))
        return path

    return write


def parts(path, replicate=0):
    return file_split(path, range(6), 6, replicate).part.tolist()


def test_one_of_several_splits_with_ranges(file):
    path = file(REPLICATES)
    assert parts(path) == [0, 0, 0, 1, 2, 2]
    assert parts(path, 1) == [0, 0, 2, 1, 2, 0]
    assert file_split(path, range(6), 6, 1).notes == [f"split 1 of 0 to 1 in {path}"]
    graphs = [Data(x=torch.ones(1, 1), y=torch.tensor([float(row)])) for row in range(6)]
    data = DataModule(graphs, split="file", split_file=path, fold=1)
    assert [graph.row for graph in data.test_data] == [2, 4]
    assert data.summary()["notes"] == [f"split 1 of 0 to 1 in {path}"]
    assert parts(file(REPLICATES[1])) == [0, 0, 2, 1, 2, 0]
    assert parts(file(REPLICATES[:1])) == [0, 0, 0, 1, 2, 2]
    named = [
        {"row": row, "split": part} for row, part in enumerate(["train"] * 4 + ["val", "test"])
    ]
    assert parts(file(named)) == [0, 0, 0, 0, 1, 2]  # a table, not splits


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ({"train": "0-2", "val": "2-3", "test": [4]}, "puts row 2 into two parts, train and val"),
        ({"train": "0-2", "val": "3", "test": "4-9"}, "puts row 6 into test, but the data has 6"),
        ({"train": "0-2", "val": "3", "test": []}, "leaves nothing in the test part"),
        ({"train": "0-2", "val": "x", "test": [4]}, "val must hold numbers of rows, got .*'x'"),
        (
            {"train": "0-2", "calibrate": [3], "test": [4]},
            "speaks of 'calibrate', which is no part",
        ),
    ],
)
def test_a_split_that_does_not_fit_is_told_by_row(file, split, message):
    for splits in (split, [split], [REPLICATES[0], split]):
        with pytest.raises(ValueError, match=message):
            parts(file(splits), len(splits) - 1 if isinstance(splits, list) else 0)


def test_a_split_that_is_not_there(file):
    with pytest.raises(ValueError, match=r"holds 2 splits, but data\.fold is 2: it counts them"):
        parts(file(REPLICATES), 2)
    with pytest.raises(ValueError, match=r"holds one split, but data\.fold is 1"):
        parts(file(REPLICATES[0]), 1)
