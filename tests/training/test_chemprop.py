"""chemprop's run: its command is given our table and split, and measured as every model is."""

import csv
import json
import sys

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from programs import fake_chemprop
from runs import compose_config
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score, roc_auc_score

from gia.nn import Chemprop
from gia.training import ChempropRun

pytest.importorskip("rdkit")
PARTS = ["callbacks.progress_bar=null", "++trainer.enable_progress_bar=false", "~logger"]
SMILES = ["C" * n + end for n in range(1, 15) for end in ("O", "N", "Cl", "c1ccccc1")]
LINES = [*SMILES[:10], "no molecule", *SMILES[10:]]  # a row without an item


@pytest.fixture
def make(tmp_path):
    """Makes a run on a table of molecules."""
    program = fake_chemprop(tmp_path)

    def make_run(*overrides, header="smiles,y,z", row=lambda i, s: f"{len(s) + i / 7},{i % 5}"):
        table = tmp_path / "molecules.csv"
        lines = [f"{s},{row(i, s)}" for i, s in enumerate(LINES)]
        table.write_text("\n".join([header, *lines, ""]))
        settings = ["data=molecules", f"data.path={table}", "data.smiles_column=smiles"]
        own = ["model=chemprop", f"model.command={program}", f"run_dir={tmp_path}/run", "name=test"]
        settings += ["data.val_fraction=0.2", "data.test_fraction=0.2", "data.split_seed=3"]
        cfg = compose_config(*settings, *PARTS, *own, *overrides)
        return instantiate(cfg.runner)(cfg)

    return make_run


def read(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def calls(run):
    return list(
        map(json.loads, (run.folder / "chemprop" / "called.jsonl").read_text().splitlines())
    )


def half_missing(i, s):
    return f"{len(s) + i / 7},{'' if i % 2 else i}"


def test_it_is_given_our_table_and_our_split_row_for_row(make):
    run = make("data.target_column=[y,z]", row=half_missing)
    assert isinstance(run, ChempropRun)
    run.fit()
    table, ours = read(run.folder / "chemprop" / "table.csv"), read(run.folder / "splits.csv")
    (split,) = json.loads((run.folder / "chemprop" / "splits.json").read_text())
    parts = {row: name for name, rows in split.items() for row in rows}
    assert [parts[i] for i in range(len(table))] == [row["split"] for row in ours]
    assert len(parts) == len(table) == len(SMILES)
    for row, own in zip(table, ours, strict=True):
        i = int(own["row"])
        assert row["smiles"] == LINES[i]
        assert float(row["target_0"]) == pytest.approx(len(LINES[i]) + i / 7)
        assert row["target_1"] == ("" if i % 2 else f"{i}.0")
    molecules = read(run.folder / "chemprop" / "molecules.csv")
    assert molecules == [{"smiles": smiles} for smiles in SMILES]  # no targets to give back


def test_its_metrics_are_scikit_learns_on_its_predictions(make):
    run = make("data.target_column=[y,z]", row=half_missing)
    metrics = run.fit()
    assert run.task.limits is None  # what it says is left as it is
    folder = run.folder / "chemprop"
    table, said = read(folder / "table.csv"), read(folder / "predictions.csv")
    (split,) = json.loads((folder / "splits.json").read_text())
    for number, name in enumerate(("y", "z")):
        column = f"target_{number}"
        for part, found in (("test", metrics), ("val", run.history.epochs[0])):
            known = [i for i in split[part] if table[i][column]]
            y = [float(table[i][column]) for i in known]
            predicted = [float(said[i][column]) for i in known]
            assert found[f"{part}/rmse/{name}"] == pytest.approx(
                mean_squared_error(y, predicted) ** 0.5, rel=1e-5
            )
            assert found[f"{part}/mae/{name}"] == pytest.approx(
                mean_absolute_error(y, predicted), rel=1e-5
            )
            assert found[f"{part}/r2/{name}"] == pytest.approx(r2_score(y, predicted), abs=1e-4)
    assert run.task.model.versions == {"chemprop": "9.9.9"}
    assert run.throughput.seconds > 0


def test_probabilities_of_classes_are_ranked_as_scikit_learn_ranks_them(make):
    run = make(
        "data.target_column=y", "task=classification", header="smiles,y",
        row=lambda i, s: "no" if i % 3 else "yes",
    )  # fmt: skip
    metrics = run.fit()
    folder = run.folder / "chemprop"
    table, said = read(folder / "table.csv"), read(folder / "predictions.csv")
    (split,) = json.loads((folder / "splits.json").read_text())
    assert {row["target_0"] for row in table} == {"0", "1"}
    y = np.array([int(table[i]["target_0"]) for i in split["test"]])
    predicted = np.array([float(said[i]["target_0"]) for i in split["test"]])
    assert 0.1 < roc_auc_score(y, predicted) < 0.9
    assert metrics["test/auroc"] == pytest.approx(roc_auc_score(y, predicted), abs=1e-6)
    assert metrics["test/accuracy"] == pytest.approx(((predicted > 0.5) == y).mean())
    assert calls(run)[0][calls(run)[0].index("-t") + 1] == "classification"


def test_options_reach_its_command(make):
    run = make(
        "data.target_column=y", "model.featurizers=rdkit_2d", "seed=4", "data.weight_column=z",
        "model.arguments=[--ensemble-size,5,--epochs,2]",
    )  # fmt: skip
    run.fit()
    train, predict = calls(run)
    assert train[0] == "train"
    assert predict[0] == "predict"
    text = " ".join(train)
    assert "--pytorch-seed 4 --data-seed 4" in text
    assert "--molecule-featurizers rdkit_2d --ensemble-size 5 --epochs 2" in text
    assert "--weight-column weight" in text
    assert " ".join(predict).endswith("--molecule-featurizers rdkit_2d")
    table = read(run.folder / "chemprop" / "table.csv")
    rows = [i for i, text in enumerate(LINES) if text in SMILES]
    assert [row["weight"] for row in table] == [f"{i % 5}.0" for i in rows]
    plain = make("data.target_column=y", f"run_dir={run.folder}/plain")
    plain.fit()
    assert "--molecule-featurizers" not in calls(plain)[0] + calls(plain)[1]
    assert "--weight-column" not in calls(plain)[0]


def test_a_program_that_is_not_there_is_told_with_the_way(make, tmp_path):
    with pytest.raises(Exception, match="chemprop is not installed: there is no program 'nowhere'"):
        make("data.target_column=y", "model.command=nowhere")
    with pytest.raises(ImportError, match=r"GIA_CHEMPROP=ENVIRONMENT/bin/chemprop or model"):
        Chemprop(out_channels=1, command="nowhere")


def test_what_it_dies_of_is_told_and_the_log_kept(make):
    run = make("data.target_column=y", "model.arguments=[--fail]")
    with pytest.raises(ValueError, match=r"train has failed, see .*log.txt: ValueError: as it was"):
        run.fit()
    assert "Traceback" in (run.folder / "chemprop" / "log.txt").read_text()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('rows = read(after("-i"))', 'rows = read(after("-i"))[1:]', "55 molecules that are"),
        ("mean + size / 10", "float('nan')", "predicts 'nan' of CO"),
        ("row[name] =", "row['other'] =", "has no column target_0, but smiles, other"),
    ],
)  # fmt: skip
def test_predictions_that_are_none_are_refused(make, tmp_path, old, new, message):
    run = make("data.target_column=y")
    program = tmp_path / "chemprop"
    program.write_text(program.read_text().replace(old, new))
    with pytest.raises(ValueError, match=message):
        run.fit()


def test_what_it_is_not_made_for_is_refused(make, tmp_path):
    with pytest.raises(Exception, match="two classes, and here one has 3"):
        make("data.target_column=z", "task=classification", row=lambda i, s: f"1,{'abc'[i % 3]}")
    sequences = tmp_path / "sequences.csv"
    rows = [f"{'ACDE' * (i % 5 + 1)}{'KLMN'[i % 4]},{i}" for i in range(40)]
    sequences.write_text("\n".join(["s,y", *rows, ""]))
    settings = ["data=labelled_csv", f"data.path={sequences}", "data.sequence_column=s", *PARTS]
    settings += ["data.target_column=y", "data.split=random", "model=chemprop", "name=test"]
    program = tmp_path / "chemprop"
    cfg = compose_config(*settings, f"model.command={program}", f"run_dir={tmp_path}/sequences")
    run = instantiate(cfg.runner)(cfg)
    with pytest.raises(ValueError, match="chemprop is run on molecules with targets of the whole"):
        run.fit()


def test_it_answers_by_row_and_not_before():
    scale = {"target_mean": [2.0], "target_std": [4.0]}
    model = Chemprop(out_channels=1, **scale, command=sys.executable)
    data = torch.nn.Module()
    data.row, data.edge_index = torch.tensor([7, 3]), torch.zeros(2, 0)
    with pytest.raises(RuntimeError, match="chemprop is not fitted"):
        model(data)
    model.take([3, 7], torch.tensor([[6.0], [10.0]]))
    assert model(data).tolist() == [[2.0], [1.0]]


@pytest.mark.parametrize("beside", ["data.smiles_column=[smiles,other]", "data.sequence_column=s"])
def test_of_several_parts_a_row_none_is_left_out_unsaid(make, beside):
    """A SMILES ends at a blank: chemprop would read the first molecule alone."""
    rows = {"header": "smiles,other,s,y", "row": lambda i, s: f"CCO,ACDE{'KLMN'[i % 4]},{i}"}
    run = make("data.target_column=y", beside, **rows)
    with pytest.raises(ValueError, match=r"one molecule a row, and these have 2 parts: smiles, "):
        run.fit()
    assert not (run.folder / "chemprop" / "table.csv").exists()
