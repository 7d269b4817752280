import csv
import math
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch_geometric.data import Data
from torch_geometric.loader import DataLoader
from torch_geometric.nn import global_add_pool

from gia.data import Rejected
from gia.tasks import Classification, Regression

NAN = math.nan


class Sum(nn.Module):
    """Adds the features of a graph up, or leaves those of the nodes as they are."""

    def __init__(self, level="graph"):
        super().__init__()
        self.level = level

    def forward(self, data):
        return data.x if self.level == "node" else global_add_pool(data.x, data.batch)


def regression(level="graph", targets=1):
    names = ["log S", "Tm"][:targets]
    settings = {"target_mean": [10.0] * targets, "target_std": [2.0] * targets}
    return Regression(
        Sum(level), target_names=names, **settings, level=level, optimizer=torch.optim.SGD
    )


def classification(targets=1):
    return Classification(
        Sum(),
        target_names=["toxic", "soluble"][:targets],
        class_names=["no", "yes"],
        optimizer=torch.optim.SGD,
    )


def graph(row, x, y, name=None):
    return Data(
        x=torch.tensor(x), edge_index=torch.empty(2, 0, dtype=torch.long),
        y=torch.tensor(y), name=name or f"row_{row}", row=row,
    )  # fmt: skip


class Table:
    """A datamodule as for_model gives it: of rows 0 to 3, row 1 became no graph."""

    def __init__(self, graphs, columns=("id", "smiles"), rejected=True):
        self.graphs, self.columns = graphs, list(columns)
        lost = [Rejected(1, "b", "no molecule")] if rejected else []
        self.items = SimpleNamespace(rejected=lost, filled=[])
        rows = [dict.fromkeys(columns, f"cell {row}") for row in range(4 if rejected else 3)]
        self.dataset = SimpleNamespace(table=lambda: (self.columns, rows))

    def setup(self):
        pass

    def parts(self, rows):
        yield self

    def loader(self, part):
        return DataLoader(self.graphs, batch_size=2)


def read(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_predictions_know_their_graphs():
    graphs = [graph(4, [[1.0], [2.0]], [[NAN]], "a"), graph(0, [[0.5]], [[3.0]], "b")]
    found = regression().predictions(DataLoader(graphs, batch_size=1))
    assert (found.names, found.rows, found.nodes) == (["a", "b"], [4, 0], [])
    assert found.output.tolist() == [[16.0], [11.0]]
    assert found.target[1].tolist() == [3.0]
    assert regression().predictions(DataLoader(graphs, batch_size=1), limit=1).names == ["a"]


def test_predictions_know_their_nodes():
    graphs = [graph(4, [[1.0], [2.0]], [[NAN], [1.0]], "a"), graph(0, [[0.5]], [[3.0]], "b")]
    found = regression("node").predictions(DataLoader(graphs, batch_size=2))
    assert (found.names, found.rows, found.nodes) == (["a", "a", "b"], [4, 4, 0], [0, 1, 0])
    assert found.output.flatten().tolist() == [12.0, 14.0, 11.0]


def test_a_table_keeps_its_rows_and_columns(tmp_path):
    graphs = [graph(3, [[1.0]], [[NAN]]), graph(0, [[0.0]], [[NAN]]), graph(2, [[2.0]], [[NAN]])]
    done = regression().predict_table(Table(graphs), tmp_path / "out.csv")
    assert done == {"predicted": 3, "problems": 1}
    rows = read(tmp_path / "out.csv")
    assert list(rows[0]) == ["id", "smiles", "predicted_log S", "problem"]
    assert [row["id"] for row in rows] == ["cell 0", "cell 1", "cell 2", "cell 3"]
    assert [row["predicted_log S"] for row in rows] == ["10", "", "14", "12"]
    assert [row["problem"] for row in rows] == ["", "no molecule", "", ""]


def test_without_problems_there_is_no_such_column(tmp_path):
    graphs = [graph(row, [[0.0, 1.0]], [[NAN]]) for row in range(3)]
    classification().predict_table(Table(graphs, rejected=False), tmp_path / "out.csv")
    rows = read(tmp_path / "out.csv")
    columns = ["predicted_toxic", "probability_no", "probability_yes"]
    assert list(rows[0]) == ["id", "smiles", *columns]
    yes = 1 / (1 + math.exp(-1))
    assert rows[0]["predicted_toxic"] == "yes"
    assert float(rows[0]["probability_yes"]) == pytest.approx(yes, abs=1e-5)
    assert float(rows[0]["probability_no"]) == pytest.approx(1 - yes, abs=1e-5)


def test_several_targets_have_columns_of_their_own(tmp_path):
    table = Table([graph(0, [[0.0, 1.0, 9.0, 0.0]], [[NAN, NAN]])])
    classification(targets=2).predict_table(table, tmp_path / "out.csv")
    row = read(tmp_path / "out.csv")[0]
    assert (row["predicted_toxic"], row["predicted_soluble"]) == ("yes", "no")
    assert float(row["probability_soluble_no"]) > 0.99 > float(row["probability_toxic_no"])


def test_a_row_holds_what_is_said_of_its_nodes(tmp_path):
    graphs = [graph(0, [[1.0], [2.0]], [[NAN], [NAN]]), graph(2, [[3.0]], [[NAN]])]
    done = regression("node").predict_table(Table(graphs), tmp_path / "out.csv")
    assert done == {"predicted": 2, "problems": 2}
    rows = read(tmp_path / "out.csv")
    assert [row["predicted_log S"] for row in rows] == ["12 14", "", "16", ""]
    task = Classification(
        Sum("node"),
        target_names=["fold"], class_names=["H", "3"], level="node", optimizer=torch.optim.SGD,
    )  # fmt: skip
    graphs = [graph(0, [[9.0, 0.0], [0.0, 9.0], [0.0, 9.0]], [[NAN]] * 3)]
    task.predict_table(Table(graphs), tmp_path / "out.csv")
    row = read(tmp_path / "out.csv")[0]
    assert row["predicted_fold"] == "H33"
    assert len(row["probability_H"].split(" ")) == 3


def test_a_column_is_never_written_over(tmp_path):
    table = Table([graph(0, [[0.0]], [[NAN]])], columns=["smiles", "predicted_log S"])
    with pytest.raises(ValueError, match="already has the column 'predicted_log S'"):
        regression().predict_table(table, tmp_path / "out.csv")
    assert not list(tmp_path.iterdir())


def test_columns_are_looked_at_before_anything_is_predicted(tmp_path, monkeypatch):
    task = regression()
    monkeypatch.setattr(type(task), "uncertain", True)
    monkeypatch.setattr(Table, "loader", lambda *_: pytest.fail("it predicts"))
    for column in ("predicted_log S", "uncertainty_log S"):
        table = Table([graph(0, [[0.0]], [[NAN]])], columns=["smiles", column])
        with pytest.raises(ValueError, match=f"already has the column '{column}'"):
            task.predict_table(table, tmp_path / "out.csv")


def test_a_part_is_written_with_its_targets(tmp_path):
    graphs = [graph(7, [[0.0, 1.0]], [[1.0]], "a"), graph(2, [[1.0, 0.0]], [[NAN]], "b")]
    done = classification().predict_part(Table(graphs), "test", tmp_path / "out.csv")
    assert done == {"predicted": 2, "problems": 0}
    first, second = read(tmp_path / "out.csv")
    assert (first["name"], first["row"], first["toxic"], first["predicted_toxic"]) == (
        "a", "7", "yes", "yes",
    )  # fmt: skip
    assert (second["name"], second["toxic"], second["predicted_toxic"]) == ("b", "", "no")
    nodes = [graph(7, [[1.0], [2.0]], [[NAN], [1.5]], "a")]
    regression("node").predict_part(Table(nodes), "test", tmp_path / "out.csv")
    rows = read(tmp_path / "out.csv")
    assert [row["node"] for row in rows] == ["0", "1"]
    assert [row["log S"] for row in rows] == ["", "1.5"]
    assert [row["predicted_log S"] for row in rows] == ["12", "14"]


def test_trivial_regression_says_the_training_mean():
    train = [graph(0, [[0.0]], [[4.0]]), graph(1, [[0.0]], [[8.0]]), graph(2, [[0.0]], [[NAN]])]
    test = [graph(3, [[0.0]], [[6.0]]), graph(4, [[0.0]], [[9.0]]), graph(5, [[0.0]], [[NAN]])]
    found = regression().trivial_metrics(train, test)
    assert found["mae"] == pytest.approx(1.5)
    assert found["rmse"] == pytest.approx(math.sqrt(4.5))


@pytest.mark.filterwarnings("error")
def test_trivial_classification_says_the_commonest_class():
    train = [graph(row, [[0.0]], [[float(row > 0), 0.0]]) for row in range(3)]
    test = [graph(row, [[0.0]], [[float(row > 0), NAN]]) for row in range(4)]
    found = classification(targets=2).trivial_metrics(train, test)
    assert found["accuracy/toxic"] == 0.75
    assert found["auroc/toxic"] == 0.5
    assert found["mcc/toxic"] == 0
    assert math.isnan(found["auroc/soluble"])
    # One "no" and two "yes", each counted once more.
    assert found["loss"] == pytest.approx(-(math.log(2 / 5) + 3 * math.log(3 / 5)) / 4, rel=1e-5)
