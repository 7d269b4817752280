"""Tables as a user meets them: a class called NA, several targets, a file that is refused."""

import csv
import json
import random
from functools import partial

import pytest
from runs import gia as run_gia

FAST = [
    *("model.width=32", "model.heads=2", "model.depth=2", "mlp.hidden=64"),
    *("callbacks.progress_bar=null", "logger.tensorboard=null", "run_dir=run"),
]
SEQUENCES = ["data=labelled_csv", "data.path=table.csv", "data.sequence_column=sequence"]
CLASSES = [*SEQUENCES, "task=classification", "data.split=random"]
gia = partial(run_gia, check=False)


def predicted(folder):
    done = gia("predict", "ckpt_path=run/checkpoints/best.ckpt", "data.path=table.csv", cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    with (folder / "table_predicted.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_class_that_is_called_na_is_learned_and_predicted(tmp_path):
    draw = random.Random(0)
    letters = {"HA": "ACDEFG", "NA": "HIKLMN", "M2": "PQRSTV"}
    rows = [
        ["".join(draw.choices(letters[name], k=12)), name] for _ in range(20) for name in letters
    ]
    with (tmp_path / "table.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["sequence", "protein"], *rows])
    settings = ["data.target_column=protein", "trainer.max_epochs=25", "optimizer.lr=0.01"]
    done = gia("train", *CLASSES, *settings, *FAST, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    note = "20 cells of 'protein' read 'NA': taken as a class; data.missing=[NA] makes them missing"
    assert note in done.stdout
    rows = predicted(tmp_path)
    assert list(rows[0])[3:6] == ["probability_HA", "probability_M2", "probability_NA"]
    found = [row["predicted_protein"] for row in rows if row["protein"] == "NA"]
    assert (len(found), found.count("NA") > 15) == (20, True)


def test_targets_with_classes_of_their_own(tmp_path):
    with (tmp_path / "table.csv").open("w", newline="") as file:
        table = csv.writer(file, delimiter="\t")
        table.writerow(["", "sequence", "a", "b"])
        for i in range(90):
            sequence = "ACDEFGHIKL"[i % 10] * (4 + i // 10)
            table.writerow([i, sequence, ["high", "low"][i % 2], "xyz"[i % 3]])
    settings = ["data.target_column=[a,b]", "trainer.max_epochs=1"]
    done = gia("train", *CLASSES, *settings, *FAST, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "column 1 has no name: it is taken as an index" in done.stdout
    test = json.loads((tmp_path / "run" / "summary.json").read_text())["test"]
    assert all(0 <= test[f"auroc/{target}"] <= 1 for target in "ab")
    row = predicted(tmp_path)[0]
    assert list(row)[4:] == [
        *("predicted_a", "probability_a_high", "probability_a_low"),
        *("predicted_b", "probability_b_x", "probability_b_y", "probability_b_z"),
        "similarity_to_training",
    ]
    for target, names in (("a", ["high", "low"]), ("b", "xyz")):
        total = sum(float(row[f"probability_{target}_{name}"]) for name in names)
        assert total == pytest.approx(1, abs=1e-4)


def test_a_table_that_cannot_be_read_is_one_line(tmp_path):
    (tmp_path / "table.csv").write_text("smiles,y\nC,-1,167\nCC,0,5\n")
    columns = ["data.smiles_column=smiles", "data.target_column=y"]
    done = gia("train", "data=molecules", "data.path=table.csv", *columns, *FAST, cwd=tmp_path)
    assert done.returncode == 1
    [line] = done.stderr.strip().splitlines()
    assert line.startswith("gia: data.path=table.csv is not a table that can be read: 2 of 2 rows")
    assert "a decimal comma looks like the cause" in line
