"""Explanations of a task's predictions: what is explained, what is refused, what is left."""

import csv
from types import SimpleNamespace

import pytest
import torch
from graph_data import make
from torch import nn
from torch_geometric.nn import global_add_pool

from gia.data import DataModule, Molecules, Record, Records
from gia.data.datasets.molecules import to_graph
from gia.tasks import Classification, Explainer, Regression, report
from gia.tasks.calibration import Temperature
from gia.tasks.explain import explained_classes, explained_numbers
from gia.tasks.losses import Gaussian

ADAM = torch.optim.Adam


class Encoder(nn.Module):
    """What a node is, in one number a channel."""

    def __init__(self, table):
        super().__init__()
        self.table = nn.Embedding.from_pretrained(table)

    def forward(self, data):
        symbols = data.token if "token" in data else data.x[:, 0]
        return self.table(symbols)


class Counting(nn.Module):
    """A weight for each symbol, summed over the graph."""

    def __init__(self, table):
        super().__init__()
        self.encoder, self.lin = Encoder(table), nn.Identity()

    def forward(self, data):
        return global_add_pool(self.lin(self.encoder(data)), data.batch)


def counting(targets=1):
    """A regression on atomic numbers, in units of 10 from 100."""
    table = torch.arange(120.0)[:, None] * torch.arange(1.0, targets + 1)
    names = [f"t/{number}" for number in range(targets)]
    return Regression(
        Counting(table),
        target_names=names,
        target_mean=[100.0] * targets,
        target_std=[10.0] * targets,
        optimizer=ADAM,
    )


def voting(classes=2):
    """A classification: the logit of class c is c times the sum of atomic numbers, over 100."""
    table = torch.arange(120.0)[:, None] / 100 * torch.arange(float(classes))
    return Classification(
        Counting(table),
        target_names=["y"],
        class_names=[f"c{number}" for number in range(classes)],
        optimizer=ADAM,
    )


def spreading():
    """:func:`counting` of one target, of which the model gives a spread too."""
    return Regression(
        counting(2).model,
        target_names=["t/0"],
        target_mean=[100.0],
        target_std=[10.0],
        loss=Gaussian(),
        optimizer=ADAM,
    )


@pytest.fixture
def molecules(tmp_path):
    path = tmp_path / "molecules.csv"
    path.write_text("smiles,y,id\nOCC,1,a b\nCCN,2,c/d\nc1ccccc1Br,3,..\n")
    dataset = Molecules(path, "smiles", "y", name_column="id")
    data = DataModule(dataset, split="none")
    data.setup()
    return data


def read(folder):
    with (folder / "attributions.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("method", [True, "occlusion", "gradient"])
def test_attributions_are_in_physical_units(tmp_path, molecules, method):
    folder = tmp_path / "explained"
    notes = Explainer(counting(), method, folder)(molecules)
    assert notes == [f"3 of 3 predictions explained in {folder}"]
    rows = read(folder)
    assert list(rows[0]) == ["name", "row", "node", "symbol", "attribution_t/0"]
    numbers = {"C": 6, "N": 7, "O": 8, "Br": 35}
    assert len(rows) == 3 + 3 + 7
    for row in rows:
        assert float(row["attribution_t/0"]) == pytest.approx(10 * numbers[row["symbol"]], rel=1e-4)
    assert [row["symbol"] for row in rows if row["row"] == "0"] == ["O", "C", "C"]  # as written
    files = {path.name for path in folder.iterdir()}
    pictures = {"0_a_b.svg", "1_c_d.svg", "2_unnamed.svg", "explained.png", "explained.svg"}
    assert files == pictures | {"attributions.csv"}


def test_several_targets_have_a_page_each(tmp_path, molecules):
    folder = tmp_path / "explained"
    Explainer(counting(2), True, folder)(molecules)
    row = read(folder)[0]
    assert float(row["attribution_t/1"]) == pytest.approx(2 * float(row["attribution_t/0"]))
    assert (folder / "explained_t_0.png").exists()
    assert (folder / "explained_t_1.png").exists()


def test_only_so_many_rows_are_explained(tmp_path, molecules):
    folder = tmp_path / "explained"
    notes = Explainer(counting(), True, folder, rows=2)(molecules)
    assert notes == [f"2 of 3 predictions explained in {folder} (explain_rows=2)"]
    assert {row["row"] for row in read(folder)} == {"0", "1"}
    Explainer(counting(), True, folder, rows=1)(molecules)  # what was there is replaced
    assert {path.name for path in folder.glob("*_*.svg")} == {"0_a_b.svg"}


@pytest.mark.parametrize("classes", [2, 3])
def test_classes_are_explained_in_log_odds(tmp_path, molecules, classes):
    task, folder = voting(classes), tmp_path / "explained"
    Explainer(task, True, folder)(molecules)
    rows = read(folder)
    assert list(rows[0])[-2:] == ["class_y", "attribution_y"]
    assert {row["class_y"] for row in rows} == {f"c{classes - 1}"}
    # OCC: from logits 0, s, 2 s to those without the oxygen.
    sums = torch.tensor([20.0, 12.0]) / 100
    logits = sums[:, None] * torch.arange(float(classes))
    odds = logits[:, -1] - logits[:, :-1].logsumexp(1)
    assert float(rows[0]["attribution_y"]) == pytest.approx(float(odds[0] - odds[1]), rel=1e-3)


def test_log_odds_of_what_is_nearly_certain_keep_their_digits():
    logits = torch.tensor([[[0.0, 30.0, -torch.inf]], [[2.0, -1.0, 0.5]]])
    found = explained_numbers(logits.softmax(-1), [1])
    assert found.flatten().tolist() == pytest.approx(
        [30.0, -1 - torch.tensor([2.0, 0.5]).logsumexp(0).item()], rel=1e-5
    )


def test_of_two_classes_the_second_is_explained_and_of_more_the_likeliest():
    probability = torch.tensor([[0.9, 0.1, 0.0], [0.7, 0.2, 0.1]])
    assert explained_classes(probability, [["a", "b"], ["a", "b", "c"]]) == [1, 0]


def test_sequences_are_explained(tmp_path):
    records = [Record("first", "ACK", cells=["1"]), Record("second", "KXKA", cells=["2"])]
    data = DataModule(Records(records, ["y"]), split="none")
    data.setup()
    folder = tmp_path / "explained"
    Explainer(counting(), True, folder)(data)
    rows = read(folder)
    assert "".join(row["symbol"] for row in rows) == "ACKK<unk>KA"
    of_k = {row["attribution_t/0"] for row in rows if row["symbol"] == "K"}
    assert len(of_k) == 1
    assert len(list(folder.glob("*.svg"))) == 3


def test_graphs_of_another_kind_have_a_table_alone(tmp_path, molecules):
    graphs = [graph.clone() for graph in molecules.graphs]
    for graph in graphs:
        del graph.text
    data = DataModule(graphs, split="none", target_type="regression")
    data.setup()
    folder = tmp_path / "explained"
    notes = Explainer(counting(), True, folder)(data)
    assert "3 of them have no picture: row 0 (a b) is no sequence" in notes[1]
    assert [path.name for path in folder.iterdir()] == ["attributions.csv"]
    assert len(read(folder)) == 13


BAD = {
    "no method": (
        {"method": "shap"},
        "must be one of true, false, occlusion, gradient, got 'shap'",
    ),
    "no row": ({"rows": 0}, "explain_rows must be a whole number of at least 1, got 0"),
    "half a row": ({"rows": 2.5}, "got 2.5"),
    "text": ({"rows": "all"}, "got 'all'"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_settings_are_refused_before_any_work(tmp_path, case):
    settings, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        Explainer(**{"task": counting(), "method": True, "folder": tmp_path / "new"} | settings)
    assert not (tmp_path / "new").exists()


def test_a_folder_of_other_things_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="holds other things: move it"):
        Explainer(counting(), True, tmp_path)
    with pytest.raises(FileExistsError, match="holds other things"):
        Explainer(counting(), True, tmp_path / "mine.txt")
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_predictions_of_nodes_are_refused(tmp_path):
    task = counting()
    task.level = "node"
    with pytest.raises(ValueError, match="predicts each node"):
        Explainer(task, True, tmp_path / "new")


def test_a_model_without_an_encoder_is_refused(tmp_path):
    task = counting()
    task.model = nn.Linear(2, 1)
    with pytest.raises(ValueError, match="no module encoder"):
        Explainer(task, True, tmp_path / "new")


@pytest.mark.parametrize(("kind", "titles"), [("smiles", ["layer 1", "layer 2"]), ("name", [])])
def test_a_runs_attention_is_drawn_on_the_structure(tmp_path, monkeypatch, kind, titles):
    graph = to_graph("CCOC(C)=O")
    graph.name = "ethyl acetate"
    columns = {"node_categories": [119, 9, 11, 12, 9, 5, 8, 2, 2], "edge_categories": [22, 6, 2]}
    model = make("model=graph_transformer", encodings={}, **columns)
    run = SimpleNamespace(
        task=SimpleNamespace(model=model, device="cpu"),
        datamodule=SimpleNamespace(test_data=[graph], items=SimpleNamespace(kind=kind)),
        folder=tmp_path,
    )
    figures = []
    monkeypatch.setattr(report, "save", lambda figure, path: figures.append(figure) or [path])
    names = [path.name for path in report.picture_a_graph(run, None)]
    assert names == ["attention_heat_map", "attention_graph"]
    found = [axes.get_title() for axes in figures[1].axes]
    assert [title for title in found if title.startswith("layer")] == titles


def test_of_several_numbers_the_prediction_is_explained(molecules, tmp_path):
    for method in (True, "gradient"):
        found = Explainer(spreading(), method, tmp_path / "s").explain(
            molecules.graphs[0], "smiles"
        )
        plain = Explainer(counting(), method, tmp_path / "p").explain(molecules.graphs[0], "smiles")
        torch.testing.assert_close(found.values, plain.values)
        torch.testing.assert_close(found.output, plain.output)
        assert found.said == plain.said


def test_a_share_in_words_is_calibrated_as_in_the_table(tmp_path):
    task = voting()
    task.calibration = Temperature(torch.tensor([20]), torch.tensor([2.0]).double())
    graph = to_graph("CCO")
    graph.name, graph.row = "ethanol", 0
    explained = Explainer(task, True, tmp_path / "explained").explain(graph, "smiles")
    share = torch.tensor((6 + 6 + 8) / 100 / 2).sigmoid()
    assert explained.said == [f"c1 ({share:.2f})"] != ["c1 (0.55)"]
    assert explained.output.item() == pytest.approx(0.2, rel=1e-5)  # what is explained is the model
