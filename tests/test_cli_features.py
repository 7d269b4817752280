"""Features of graphs as a user meets them: a column beside the structures, a file, a forest."""

import csv
from functools import partial

import pytest
import torch
from runs import gia as run_gia
from runs import write_table as write

FAST = [
    *("model.width=16", "model.heads=2", "model.depth=1", "mlp.hidden=16", "optimizer.lr=0.01"),
    *("callbacks.progress_bar=null", "logger.tensorboard=null", "trainer.max_epochs=30"),
    "data.batch_size=8",
]
TABLE = ["data=molecules", "data.path=table.csv", "data.smiles_column=smiles"]
COLUMN = ["data.target_column=y", "data.features=columns", "data.feature_columns=[t]"]
gia = partial(run_gia, check=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run whose target is the column ``t`` and nothing else, in one row of which is a word."""
    folder = tmp_path_factory.mktemp("features")
    smiles = ["C" * n + end for n in range(1, 11) for end in ("O", "N", "Cl", "F", "S", "Br")]
    rows = [[s, 3 * (i * 7 % 20) - 4, i * 7 % 20] for i, s in enumerate(smiles)]
    rows[4][2] = "warm"
    write(folder / "table.csv", ["smiles", "y", "t"], rows)
    done = gia("train", *TABLE, *COLUMN, *FAST, "run_dir=run", cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 rows with features that are no number" in done.stdout
    assert "row 4: t is 'warm'" in done.stdout
    return folder


def test_another_table_is_predicted_with_its_own_column(folder):
    write(folder / "new.csv", ["t", "smiles"], [[2, "CCO"], [17, "CCO"], ["", "CCO"], [5, "C1C"]])
    done = gia("predict", "ckpt=run/checkpoints/best.ckpt", "data.path=new.csv", cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "row 2: t is missing" in done.stdout
    with (folder / "new_predicted.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    low, high, middle = (float(row["predicted_y"]) for row in rows[:3])
    assert low < middle < high
    assert high - low > 25  # it would be 45
    assert rows[3]["problem"].startswith("rdkit rejects")


def test_a_column_that_is_not_there_is_named(folder):
    write(folder / "bare.csv", ["smiles"], [["CCO"]])
    done = gia("predict", "ckpt=run/checkpoints/best.ckpt", "data.path=bare.csv", cwd=folder)
    assert done.returncode == 1
    assert "has no column 't' (data.feature_columns). Its columns: smiles" in done.stderr


def test_the_checkpoint_has_the_training_statistics(folder):
    state = torch.load(folder / "run/checkpoints/best.ckpt", weights_only=True)["state_dict"]
    with (folder / "run/splits.csv").open(newline="") as file:
        train = {int(row["row"]) for row in csv.DictReader(file) if row["split"] == "train"}
    values = torch.tensor([float(i * 7 % 20) for i in sorted(train - {4})])
    low, center, high = values.quantile(torch.tensor([0.25, 0.5, 0.75]))
    torch.testing.assert_close(state["model.head.features.center"], center[None])
    torch.testing.assert_close(state["model.head.features.scale"], (high - low)[None])
