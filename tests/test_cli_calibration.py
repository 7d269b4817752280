"""Intervals, calibrated probabilities and similarities, as a user meets them."""

import json
import re
import shlex

import numpy as np
import pytest
import torch
from conftest import ROOT
from runs import gia
from runs import read_table as read
from runs import write_table as write

from gia.data import Compounds

FAST = [
    *("model.width=16", "model.heads=2", "model.depth=2", "mlp.hidden=24"),
    *("callbacks.progress_bar=null", "logger.tensorboard=null", "trainer.max_epochs=3"),
]
TABLE = ["data=molecules", "data.path=molecules.csv", "data.smiles_column=SMILES"]
BEST = "ckpt_path=numbers/checkpoints/best.ckpt"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run on 300 melting points with an ensemble of two, and one on whether they are high."""
    folder = tmp_path_factory.mktemp("calibration")
    _, rows = Compounds("melting_point").table()
    rows = [list(row.values()) for row in rows[::38]]
    rows = [[*row, "high" if float(row[2]) > 350 else "low"] for row in rows]
    write(folder / "molecules.csv", ["cas", "SMILES", "Tm", "class"], rows)
    numbers = [*TABLE, "data.target_column=Tm", "ensemble=2", "run_dir=numbers"]
    (folder / "numbers.txt").write_text(gia("train", *numbers, *FAST, cwd=folder).stdout)
    classes = [*TABLE, "data.target_column=class", "task=classification", "run_dir=classes"]
    (folder / "classes.txt").write_text(gia("train", *classes, *FAST, cwd=folder).stdout)
    return folder


def test_numbers_have_ends_and_a_similarity(folder):
    run = folder / "numbers"
    rows = read(run / "predictions.csv")
    columns = ["predicted_Tm", "uncertainty_Tm", "lower_Tm", "upper_Tm", "similarity_to_training"]
    assert list(rows[0]) == ["name", "row", "Tm", *columns]
    said = {name: np.array([float(row[name]) for row in rows]) for name in ["Tm", *columns]}
    assert (said["lower_Tm"] < said["predicted_Tm"]).all()
    assert (said["predicted_Tm"] < said["upper_Tm"]).all()
    assert ((said["similarity_to_training"] > 0) & (said["similarity_to_training"] <= 1)).all()
    inside = (said["lower_Tm"] <= said["Tm"]) & (said["Tm"] <= said["upper_Tm"])
    summary = json.loads((run / "summary.json").read_text())
    told = summary["reliability"]["calibrated"]
    assert told["coverage"] == pytest.approx(inside.mean())
    assert told["width"] == pytest.approx((said["upper_Tm"] - said["lower_Tm"]).mean(), rel=1e-4)
    error = (said["predicted_Tm"] - said["Tm"]) / said["uncertainty_Tm"]
    nll = (error**2 / 2 + np.log(said["uncertainty_Tm"] * np.sqrt(2 * np.pi))).mean()
    assert told["nll"] == pytest.approx(nll, rel=1e-3)
    assert summary["reliability"]["before"]["nll"] > told["nll"]
    pictures = {path.stem for path in run.glob("*.png")}
    assert {"calibration", "error_over_uncertainty"} <= pictures
    assert "Errors, as said and as they are" in (folder / "numbers.txt").read_text()


def test_classes_have_a_calibration_error_before_and_after(folder):
    run = folder / "classes"
    told = json.loads((run / "summary.json").read_text())["reliability"]
    assert told["before"].keys() == told["calibrated"].keys() == {"nll", "ece"}
    rows = read(run / "predictions.csv")
    p = np.array([float(row[f"probability_{row['class']}"]) for row in rows])
    assert told["calibrated"]["nll"] == pytest.approx(-np.log(p).mean(), rel=1e-4)
    assert told["before"]["nll"] != pytest.approx(-np.log(p).mean(), rel=1e-4)
    assert (run / "calibration.svg").is_file()
    assert not (run / "error_over_uncertainty.svg").exists()


def test_a_table_is_predicted_with_the_confidence_that_is_asked_for(folder):
    molecules = [row["SMILES"] for row in read(folder / "molecules.csv")[:40]]
    far = "[Si]([Si])[Si]"
    write(folder / "new.csv", ["id", "SMILES"], enumerate([*molecules, "C1CC", far]))
    for confidence in (0.5, 0.9):
        out = f"at_{confidence}.csv"
        asked = [] if confidence == 0.9 else [f"confidence={confidence}"]
        done = gia("predict", BEST, "data.path=new.csv", f"out={out}", *asked, cwd=folder)
    narrow, wide = (read(folder / f"at_{confidence}.csv") for confidence in (0.5, 0.9))
    for one, two in zip(narrow, wide, strict=True):
        if one["SMILES"] == "C1CC":
            assert one["problem"]
            assert one["lower_Tm"] == one["similarity_to_training"] == ""
            continue
        assert float(two["lower_Tm"]) < float(one["lower_Tm"])
        assert float(one["upper_Tm"]) < float(two["upper_Tm"])
        assert one["predicted_Tm"] == two["predicted_Tm"]
        assert one["uncertainty_Tm"] == two["uncertainty_Tm"]
    splits = {int(row["row"]): row["split"] for row in read(folder / "numbers" / "splits.csv")}
    for row, cells in enumerate(wide[:40]):
        if splits[row] == "train":
            assert cells["similarity_to_training"] == "1"
    assert float(wide[-1]["similarity_to_training"]) < 0.3
    far = sum(float(row["similarity_to_training"] or 1) < 0.3 for row in wide)
    assert f"{far} far from what the model was trained on: similarity_to_training" in done.stdout


def test_too_much_confidence_leaves_the_ends_empty(folder):
    asked = ["part=test", "out=sure.csv", "confidence=0.999"]
    done = gia("predict", BEST, *asked, cwd=folder)
    assert "confidence=0.999 takes 999 known targets of the validation part, which has 3" in (
        done.stdout
    )
    assert {row["lower_Tm"] for row in read(folder / "sure.csv")} == {""}


def test_evaluate_says_it_too(folder):
    told = json.loads((folder / "numbers" / "summary.json").read_text())["reliability"]
    text = gia("evaluate", BEST, cwd=folder).stdout
    for metric in ("nll", "ece", "coverage", "width"):
        assert f"{told['calibrated'][metric]:.4g}" in text
    learned_from = "it was calibrated on the validation part"
    assert learned_from not in text
    assert learned_from in gia("evaluate", BEST, "part=val", cwd=folder).stdout
    narrow = gia("evaluate", BEST, "confidence=0.5", cwd=folder).stdout
    assert "intervals of 0.5" in narrow
    assert f"{told['calibrated']['width']:.4g}" not in narrow
    classes = gia("evaluate", BEST.replace("numbers", "classes"), cwd=folder).stdout
    told = json.loads((folder / "classes" / "summary.json").read_text())["reliability"]
    assert f"{told['before']['ece']:.4g}" in classes


BAD = {
    "no confidence": (["confidence=1.5"], "confidence must be above 0 and below 1"),
    "taken": (["data.path=taken.csv"], "already has the column 'lower_Tm'"),
    "compared": (["data.path=compared.csv"], "already has the column 'similarity_to_training'"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_gets_one_clear_message(folder, case):
    write(folder / "taken.csv", ["SMILES", "lower_Tm"], [["CCO", 1]])
    write(folder / "compared.csv", ["SMILES", "similarity_to_training"], [["CCO", 1]])
    overrides, message = BAD[case]
    done = gia("predict", BEST, *overrides, cwd=folder, check=False)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr + done.stdout


def test_a_checkpoint_of_before_says_how_it_is_calibrated(folder):
    path = folder / "classes" / "checkpoints" / "best.ckpt"
    found = torch.load(path, weights_only=True)
    torch.save({k: v for k, v in found.items() if k != "calibration"}, folder / "old.ckpt")
    done = gia("predict", "ckpt_path=old.ckpt", "part=test", "out=old.csv", cwd=folder)
    assert "no calibrated probabilities: old.ckpt is not calibrated" in done.stdout
    assert "gia.training.calibrate('old.ckpt')" in done.stdout
    assert "probability_low" in read(folder / "old.csv")[0]
    done = gia("evaluate", "ckpt_path=old.ckpt", cwd=folder)
    assert "gia.training.calibrate('old.ckpt')" in done.stdout


def test_few_rows_of_validation_are_told(folder):
    rows = [list(row.values()) for row in read(folder / "molecules.csv")[:60]]
    write(folder / "few.csv", ["cas", "SMILES", "Tm", "class"], rows)
    few = [*TABLE, "data.path=few.csv", "data.target_column=Tm", "run_dir=few"]
    done = gia("train", *few, *FAST, cwd=folder)
    line = "no intervals (lower_, upper_): the validation part knows 6 of 'Tm', fewer than 20"
    assert line in done.stdout
    assert "lower_Tm" not in read(folder / "few" / "predictions.csv")[0]
    best = BEST.replace("numbers", "few")
    assert line in gia("predict", best, "part=test", "out=x.csv", cwd=folder).stdout


def test_the_walk_of_the_documentation(tmp_path, shared_data):
    """Its commands, on small models, leave what the page says."""
    page = (ROOT / "docs" / "prediction.md").read_text()
    walk = page[: page.index("## More of it")]
    assert len(walk.splitlines()) < 80
    table = (shared_data / "molecules" / "delaney-processed.csv").read_text().splitlines()
    (tmp_path / "molecules.csv").write_text("\n".join(table[:400]))
    (tmp_path / "new.csv").write_text("\n".join(["smiles", "CCO", "c1ccccc1O"]))
    commands = re.findall(r"^gia (?:.*\\\n)*.*", walk, re.MULTILINE)
    assert len(commands) >= 3
    for command in commands:
        arguments = shlex.split(command.replace("\\\n", " "), comments=True)[1:]
        if arguments[0] == "train":
            arguments += [*FAST, "trainer.max_epochs=1"]
        gia(*arguments, cwd=tmp_path)
    for picture in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", walk):
        assert (ROOT / "docs" / picture).is_file()
    rows = read(tmp_path / "new_predicted.csv")
    target = "measured log solubility in mols per litre"
    for column in list(rows[0])[1:]:
        assert f"`{column.replace(target, 'T')}`" in walk
    half = read(tmp_path / "half.csv")
    assert float(half[0][f"lower_{target}"]) > float(rows[0][f"lower_{target}"])
