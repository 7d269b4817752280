"""Predictions as a user meets them: a table of molecules in, the table with answers out."""

import json
import os

import numpy as np
import pytest
import torch
from runs import gia
from runs import read_table as read
from runs import write_table as write
from sklearn.metrics import roc_auc_score, root_mean_squared_error

from gia.data import Compounds

SMALL = ["model.width=16", "model.heads=2", "model.depth=2", "mlp.hidden=24"]
FAST = [*SMALL, "callbacks.progress_bar=null", "logger.tensorboard=null", "trainer.max_epochs=2"]
COLUMNS = ["data.smiles_column=SMILES", "data.name_column=cas"]
SHARED = ["config.yaml", "metrics.csv", "splits.csv", "summary.json", "predictions.csv"]
PICTURES = ["learning_curves", "attention_heat_map", "attention_graph"]
NEAR = "similarity_to_training"
# Rows that become no graph, and one whose target is not needed.
BROKEN = {
    3: ["broken", "C1CC", "300"],
    7: ["empty", "", "300"],
    9: ["two words", "not a molecule", "300"],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a table of real molecules: melting points, and whether they are high."""
    folder = tmp_path_factory.mktemp("prediction")
    _, rows = Compounds("melting_point").table()
    rows = [list(row.values()) for row in rows[::80]]
    rows = [[*row, "high" if float(row[2]) > 350 else "low"] for row in rows]
    write(folder / "molecules.csv", ["cas", "SMILES", "Tm", "class"], rows)
    return folder


@pytest.fixture(scope="module")
def regression(folder):
    """A finished run on the melting points, some rows of which are bad."""
    rows = [list(row.values()) for row in read(folder / "molecules.csv")]
    for place, row in BROKEN.items():
        rows.insert(place, [*row, ""])
    rows.insert(11, ["unknown", "CCO", "", ""])
    rows.insert(12, ["vague", "CCO", "about 300", ""])
    write(folder / "training.csv", ["cas", "SMILES", "Tm", "class"], rows)
    table = ["data=molecules", "data.path=training.csv", *COLUMNS, "data.target_column=Tm"]
    return gia("train", *table, *FAST, "run_dir=numbers", cwd=folder)


@pytest.fixture(scope="module")
def classification(folder):
    """A finished run on the classes."""
    table = ["data=molecules", "data.path=molecules.csv", *COLUMNS, "data.target_column=class"]
    arguments = [*table, "task=classification", *FAST, "run_dir=classes"]
    return gia("train", *arguments, cwd=folder)


def checkpoint(run, name="ckpt_path"):
    return f"{name}={run}/checkpoints/best.ckpt"


def test_a_regression_leaves_everything_behind(folder, regression):
    run = folder / "numbers"
    pictures = [*PICTURES, "parity", "residuals"]
    expected = {
        *SHARED,
        "checkpoints",
        *(f"{p}.{kind}" for p in pictures for kind in ("png", "svg")),
    }
    assert {path.name for path in run.iterdir()} == expected
    assert regression.stdout.splitlines()[-1] == "everything is in numbers"
    summary = json.loads((run / "summary.json").read_text())
    rows = read(run / "predictions.csv")
    assert list(rows[0]) == ["name", "row", "Tm", "predicted_Tm", NEAR]
    target, said = (np.array([float(row[c]) for row in rows]) for c in ("Tm", "predicted_Tm"))
    assert summary["test"]["rmse"] == pytest.approx(root_mean_squared_error(target, said), rel=1e-4)
    assert summary["trivial_test"]["rmse"] == pytest.approx(target.std(), rel=0.3)
    assert summary["val"]["rmse"] > 0
    # A row of the source is counted from 0, bad rows too.
    names = [row["cas"] for row in read(folder / "training.csv")]
    assert all(names[int(row["row"])] == row["name"] for row in rows)
    split = {row["name"] for row in read(run / "splits.csv") if row["split"] == "test"}
    assert {row["name"] for row in rows} == split


def test_bad_rows_are_told_once_by_number_and_reason(regression):
    text = " ".join(regression.stdout.split())
    for said in (
        "5 rows skipped", "row 3 (broken): rdkit rejects 'C1CC'", "row 7 (empty)",
        "row 11 (unknown): no target 'Tm'", "row 12 (vague): target 'Tm': 'about 300'",
    ):  # fmt: skip
        assert text.count(said) == 1


def test_a_classification_leaves_everything_behind(folder, classification):
    run = folder / "classes"
    pictures = [*PICTURES, "confusion_matrix", "roc_curves"]
    expected = {
        *SHARED,
        "checkpoints",
        *(f"{p}.{kind}" for p in pictures for kind in ("png", "svg")),
    }
    assert {path.name for path in run.iterdir()} == expected
    rows = read(run / "predictions.csv")
    summary = json.loads((run / "summary.json").read_text())
    right = np.mean([row["class"] == row["predicted_class"] for row in rows])
    assert summary["test"]["accuracy"] == pytest.approx(right, rel=1e-5)
    positive = [row["class"] == "low" for row in rows]
    auroc = roc_auc_score(positive, [float(row["probability_low"]) for row in rows])
    assert summary["test"]["auroc"] == pytest.approx(auroc, abs=1e-5)
    for row in rows:
        assert float(row["probability_low"]) + float(row["probability_high"]) == pytest.approx(1)
    assert {"high", "low"} <= set(classification.stdout.split())  # counted in each part


def test_evaluate_repeats_the_test(folder, regression):
    test = json.loads((folder / "numbers" / "summary.json").read_text())["test"]
    text = gia("evaluate", checkpoint("numbers"), cwd=folder).stdout
    for name in ("loss", "rmse", "mae", "r2"):
        assert f"{test[name]:.4f}" in text
    # The test molecules as a table of their own give the same numbers.
    rows = read(folder / "numbers" / "predictions.csv")
    by_name = {row["cas"]: list(row.values()) for row in read(folder / "training.csv")}
    columns = ["cas", "SMILES", "Tm", "class"]
    write(folder / "tested.csv", columns, [by_name[row["name"]] for row in rows])
    own = ["data=molecules", "data.path=tested.csv", *COLUMNS, "data.target_column=Tm"]
    for arguments in (["data.path=tested.csv"], [*own, "part=all"]):
        text = gia("evaluate", checkpoint("numbers"), *arguments, cwd=folder).stdout
        assert f"{test['rmse']:.4f}" in text
    write(folder / "unknown.csv", ["SMILES"], [["CCO"], ["CC"]])
    arguments = ["data.path=unknown.csv"]
    done = gia("evaluate", checkpoint("numbers"), *arguments, cwd=folder, check=False)
    assert done.returncode == 1
    assert "no target is known here: name the column with data.target_column" in done.stderr


def test_predict_keeps_rows_and_columns(folder, regression):
    predictions = read(folder / "numbers" / "predictions.csv")
    training = read(folder / "training.csv")
    new = [[number, row["SMILES"], 'a, "b"'] for number, row in enumerate(training)]
    write(folder / "new.csv", ["id", "structure", "note"], new)
    before = (folder / "new.csv").read_bytes()
    arguments = ["data.path=new.csv", "data.smiles_column=structure"]
    done = gia("predict", checkpoint("numbers", "ckpt"), *arguments, "out=out.csv", cwd=folder)
    assert f"{len(new) - 3} predictions in out.csv" in done.stdout
    assert "3 rows without one" in done.stdout
    rows = read(folder / "out.csv")
    assert list(rows[0]) == ["id", "structure", "note", "predicted_Tm", NEAR, "problem"]
    assert [[int(row["id"]), row["structure"], row["note"]] for row in rows] == new
    for number, row in enumerate(rows):
        assert (row["predicted_Tm"] == "") == (number in BROKEN) == (row["problem"] != "")
    assert "rdkit rejects" in rows[3]["problem"]
    for row in predictions:  # as at the end of the run
        assert float(rows[int(row["row"])]["predicted_Tm"]) == pytest.approx(
            float(row["predicted_Tm"]), rel=1e-4
        )
    assert (folder / "new.csv").read_bytes() == before
    # A place of its own by default.
    gia("predict", checkpoint("numbers"), *arguments, cwd=folder)
    assert (folder / "new_predicted.csv").read_bytes() == (folder / "out.csv").read_bytes()


def test_predict_takes_a_part_of_the_training_data(folder, classification):
    gia("predict", checkpoint("classes"), "part=test", "out=part.csv", cwd=folder)
    ours, theirs = read(folder / "part.csv"), read(folder / "classes" / "predictions.csv")
    assert [row["name"] for row in ours] == [row["name"] for row in theirs]
    assert [row["predicted_class"] for row in ours] == [row["predicted_class"] for row in theirs]


BAD = {
    "the table itself": (["data.path=link.csv", "out=molecules.csv"], "is the table that is read"),
    "no column": (["data.path=unknown.csv", "data.smiles_column=smile"], "no column 'smile'"),
    "no file": (["data.path=none.csv"], "none.csv does not exist"),
    "no folder": (["data.path=molecules.csv", "out=none/out.csv"], "there is no folder none"),
    "a part of a table": (["data.path=molecules.csv", "part=test"], "leave it out, or data.path"),
    "no part": (["part=some"], "part must be train, val or test, got 'some'"),
    "taken": (["data.path=taken.csv"], "already has the column 'predicted_Tm'"),
    "no graph": (["data.path=broken.csv"], "C1CC"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_gets_one_clear_message(folder, regression, case):
    if not (folder / "link.csv").exists():
        os.symlink("molecules.csv", folder / "link.csv")
    write(folder / "unknown.csv", ["SMILES"], [["CCO"], ["CC"]])
    write(folder / "taken.csv", ["SMILES", "predicted_Tm"], [["CCO", 1]])
    write(folder / "broken.csv", ["SMILES"], [["C1CC"]])
    before = {path: path.stat().st_mtime_ns for path in folder.glob("*.csv")}
    overrides, message = BAD[case]
    done = gia("predict", checkpoint("numbers"), *overrides, cwd=folder, check=False)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert {path: path.stat().st_mtime_ns for path in folder.glob("*.csv")} == before


def test_a_model_of_targets_writes_no_sequences(folder, regression):
    done = gia("generate", checkpoint("numbers"), cwd=folder, check=False)
    assert done.returncode == 1
    assert "is a model of Regression, which writes nothing: use gia predict" in done.stderr


def test_a_checkpoint_holds_the_units(folder, regression):
    state = torch.load(folder / "numbers" / "checkpoints" / "best.ckpt", weights_only=True)
    train = {
        row["name"] for row in read(folder / "numbers" / "splits.csv") if row["split"] == "train"
    }
    values = [float(row["Tm"]) for row in read(folder / "training.csv") if row["cas"] in train]
    assert state["state_dict"]["scaler.mean"].item() == pytest.approx(np.mean(values), rel=1e-5)
    assert state["state_dict"]["scaler.std"].item() == pytest.approx(np.std(values), rel=1e-2)
