"""What stands in a cell of a table of predictions."""

import csv
from types import SimpleNamespace

from gia.analysis.predictions import Predictions
from gia.tasks.tables import predict_table


def test_a_cell_of_nodes_of_which_nothing_is_said_is_empty(tmp_path):
    """As the ends of intervals are where too little is known; blanks would be a text."""
    task = SimpleNamespace(
        training_set=None,
        columns=lambda: ["predicted_y", "lower_y"],
        predictions=lambda batches: Predictions(rows=[0, 0], nodes=[0, 1]),
        cells=lambda found: [["1", ""], ["2", ""]],
        between_nodes=lambda column: " ",
    )
    data = SimpleNamespace(
        setup=lambda: None,
        loader=lambda part: [],
        dataset=SimpleNamespace(table=lambda: (["s"], [{"s": "AC"}])),
        items=SimpleNamespace(rejected=[], filled=[], kind="sequence"),
    )
    data.parts = lambda rows: iter([data])
    assert predict_table(task, data, tmp_path / "out.csv")["predicted"] == 1
    with open(tmp_path / "out.csv", newline="") as file:
        assert list(csv.reader(file)) == [["s", "predicted_y", "lower_y"], ["AC", "1 2", ""]]
