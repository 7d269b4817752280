"""Vectors as a user meets them: a table in, a file for NumPy or a table of numbers out."""

import re

import numpy as np
import pytest
import torch
from conftest import ROOT
from runs import gia
from runs import read_table as read
from runs import write_table as write

from gia.data import Compounds
from gia.nn import embed
from gia.training import load_trained, trained_data

FAST = [
    *("model.width=16", "model.heads=2", "model.depth=2", "mlp.hidden=24"),
    *("callbacks.progress_bar=null", "logger.tensorboard=null", "trainer.max_epochs=2"),
]
ESOL = "measured log solubility in mols per litre"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a trained model of molecules, and a table two of whose rows are bad."""
    folder = tmp_path_factory.mktemp("embed")
    _, rows = Compounds("melting_point").table()
    rows = [list(row.values()) for row in rows[::80]]
    write(folder / "molecules.csv", ["cas", "smiles", "Tm"], rows)
    write(
        folder / "new.csv",
        ["cas", "smiles", "other"],
        [["a", "CCO", 1], ["b", "C1CC", 2], ["c", "c1ccccc1CCN", 3], ["d", "", 4], ["e", "CO", 5]],
    )
    columns = ["data.smiles_column=smiles", "data.name_column=cas", "data.target_column=Tm"]
    table = ["data=molecules", "data.path=molecules.csv", *columns, "data.features=null"]
    gia("train", *table, *FAST, "run_dir=run", cwd=folder)
    return folder


BEST = "ckpt_path=run/checkpoints/best.ckpt"


def test_a_part_of_the_training_comes_with_its_targets(folder):
    gia("embed", BEST, "part=val", "out=val.npz", cwd=folder)
    found = np.load(folder / "val.npz")
    split = [row for row in read(folder / "run" / "splits.csv") if row["split"] == "val"]
    assert found["name"].tolist() == [row["name"] for row in split]
    assert found["row"].tolist() == [int(row["row"]) for row in split]
    known = {row["cas"]: float(row["Tm"]) for row in read(folder / "molecules.csv")}
    expected = [[known[name]] for name in found["name"]]
    np.testing.assert_allclose(found["y"], expected, rtol=1e-6)
    assert found["target_names"].tolist() == ["Tm"]
    # The head makes the predictions of them.
    task, _ = load_trained(folder / "run/checkpoints/best.ckpt")
    said = task.scaler.inverse(task.model.head.head(torch.tensor(found["x"])))
    gia("predict", BEST, "part=val", "out=predicted.csv", cwd=folder)
    predicted = {row["name"]: float(row["predicted_Tm"]) for row in read(folder / "predicted.csv")}
    expected = [[predicted[name]] for name in found["name"]]
    np.testing.assert_allclose(said.detach().numpy(), expected, rtol=1e-4)


def test_all_of_the_data_in_its_order(folder):
    done = gia("embed", BEST, "out=all.npz", cwd=folder)
    found, rows = np.load(folder / "all.npz"), read(folder / "molecules.csv")
    assert found["name"].tolist() == [row["cas"] for row in rows]
    assert f"{len(rows)} vectors of 16 numbers in all.npz" in done.stdout


def test_other_data_by_its_own_reader_is_read_whole(folder):
    data = ["data=molecules", "data.path=molecules.csv", "data.name_column=cas"]
    data += ["data.smiles_column=smiles", "data.target_column=Tm", "data.features=null"]
    gia("embed", BEST, *data, "out=whole.npz", cwd=folder)
    assert len(np.load(folder / "whole.npz")["x"]) == len(read(folder / "molecules.csv"))


def test_rows_that_cannot_be_read_are_listed(folder):
    table = ["data.path=new.csv", "data.name_column=cas"]
    done = gia("embed", BEST, *table, "out=vectors.csv", cwd=folder)
    assert "2 rows without one" in done.stdout
    rows = read(folder / "vectors.csv")
    assert [row["name"] for row in rows] == list("abcde")
    assert list(rows[0]) == ["name", "row", *map(str, range(16)), "problem"]
    assert [bool(row["0"]) for row in rows] == [True, False, True, False, True]
    assert "rdkit rejects 'C1CC'" in rows[1]["problem"]
    assert "is empty" in rows[3]["problem"]
    assert rows[0]["problem"] == ""
    gia("embed", BEST, "data.path=new.csv", "out=new.npz", cwd=folder)
    found = np.load(folder / "new.npz")
    assert found["row"].tolist() == [0, 2, 4]
    assert found["problem_row"].tolist() == [1, 3]
    assert "y" not in found
    written = [[float(row[str(i)]) for i in range(16)] for row in rows if row["0"]]
    np.testing.assert_allclose(found["x"], written, rtol=1e-4)


def test_nodes_after_a_layer(folder):
    options = ["data.path=new.csv", "level=node", "layer=1"]
    gia("embed", BEST, *options, "out=atoms.npz", cwd=folder)
    gia("embed", BEST, *options, "out=atoms.csv", cwd=folder)
    found, rows = np.load(folder / "atoms.npz"), read(folder / "atoms.csv")
    assert found["ptr"].tolist() == [0, 3, 12, 14]
    nodes = [int(row["node"]) for row in rows if row["node"]]
    assert nodes == [*range(3), *range(9), *range(2)]
    task, config = load_trained(folder / "run/checkpoints/best.ckpt")
    config.data.path = str(folder / "molecules.csv")  # the run was given it from its folder
    data = trained_data(config, {"path": str(folder / "new.csv")})
    expected = embed(task.model, next(iter(data.loader("test"))), layer=1, level="node")
    np.testing.assert_allclose(found["x"], expected, rtol=1e-4, atol=1e-6)


BAD = {
    "exists": (["out=molecules.csv"], "out=molecules.csv exists already"),
    "suffix": (["out=x.txt"], "out=x.txt must end in .npz, for NumPy, or in .csv, a table"),
    "no folder": (["out=nowhere/x.npz"], "there is no folder nowhere"),
    "a folder": (["out=run"], "out=run is a folder"),
    "no out": ([], "out is missing: give out=..."),
    "layer": (["out=x.npz", "layer=4"], "layer must be a number from 0, the encoder, to 3"),
    "layer no number": (["out=x.npz", "layer=last"], "got 'last'"),
    "level": (["out=x.npz", "level=bond"], "level must be graph or node, got 'bond'"),
    "part": (["out=x.npz", "part=some"], "part must be train, val, test or all, got 'some'"),
    "both": (["out=x.npz", "part=val", "data.path=new.csv"], "part= is of the data of the"),
    "no graph": (["out=x.npz", "data.path=broken.csv"], "C1CC"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_gets_one_clear_message(folder, case):
    write(folder / "broken.csv", ["smiles", "cas"], [["C1CC", "x"]])
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir() if path.is_file()}
    overrides, message = BAD[case]
    done = gia("embed", BEST, *overrides, cwd=folder, check=False)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert {p: p.stat().st_mtime_ns for p in folder.iterdir() if p.is_file()} == before


def test_a_language_model_of_peptides(tmp_path):
    (tmp_path / "x.fasta").write_text("".join(f">p{i}\nGLWKA{'LAKK' * i}\n" for i in range(40)))
    data = ["data=fasta", "data.path=x.fasta", "data.split=random", "data.tokens_per_batch=512"]
    gia("train", *data, *FAST, "run_dir=run", "trainer.max_epochs=1", cwd=tmp_path)
    (tmp_path / "new.fasta").write_text(">b\nGLW\n>a\nKKKKK\n")
    gia("embed", BEST, "data.path=new.fasta", "level=node", "out=new.npz", cwd=tmp_path)
    found = np.load(tmp_path / "new.npz")
    assert found["name"].tolist() == ["b", "a"]
    assert found["ptr"].tolist() == [0, 4, 10]  # each after the start of its sequence
    assert "y" not in found
    gia("embed", BEST, "data=peptides", "out=peptides.npz", cwd=tmp_path)
    assert np.load(tmp_path / "peptides.npz")["row"].tolist() == list(range(5200))


@pytest.mark.slow
def test_the_forest_of_the_documentation(tmp_path, shared_data):
    """The commands and the Python of the page, on a model of two epochs."""
    page = (ROOT / "docs" / "prediction.md").read_text()
    section = page.split("A random forest on what a model of ESOL has learned")[1]
    commands, code = re.findall(r"```(?:py)?\n(.*?)```", section, re.DOTALL)[:2]
    for command in commands.replace("python train.py", "gia train").splitlines():
        arguments = command.split()[1:]
        if arguments[0] == "train":
            file = shared_data / "molecules" / "delaney-processed.csv"
            arguments += [*FAST, f"data.path={file}"]
        gia(*arguments, cwd=tmp_path)
    names = {}
    code = code.replace('"train.npz"', repr(str(tmp_path / "train.npz")))
    exec(code.replace('"test.npz"', repr(str(tmp_path / "test.npz"))), names)
    assert len(names["train"]["x"]) == 902
    # Also a barely trained model knows more than the mean.
    assert names["rmse"] < 0.8 * names["test"]["y"].std()
