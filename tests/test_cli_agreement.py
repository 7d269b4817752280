"""Attention beside contacts and bonds as a user meets it: a checkpoint in, a table and pictures
out."""

import csv
import math
import os

import numpy as np
import pytest
from runs import gia, peptides_fasta, read_table, write_table

FAST = [
    *("model.width=16", "model.heads=2", "model.depth=2", "mlp.hidden=24"),
    *("callbacks.progress_bar=null", "logger.tensorboard=null", "trainer.max_epochs=1"),
]
CAUSAL, MASKED = "causal/checkpoints/best.ckpt", "masked/checkpoints/best.ckpt"
MOLECULES = "molecules/checkpoints/best.ckpt"
STRUCTURES = ["data=protein_structures", "data.path=pdb"]
SMILES = ["CCO", "c1ccccc1O", "CC(=O)NC", "C1CCCCC1N", "OCC(O)CO", "CCCCC", "ClC(C)C", "N#CCO"]
ACIDS = ["ALA", "GLY", "LEU", "LYS", "SER", "TRP"]


def write_structures(folder, number=6, length=45):
    """CA traces that turn back on themselves, so that they have contacts."""
    folder.mkdir()
    generator = np.random.default_rng(0)
    for name in range(number):
        places, lines = [np.zeros(3)], []
        for residue in range(length):
            place = places[0]
            while min(np.linalg.norm(place - other) for other in places) < 2:  # as no matter is
                step = generator.normal(size=3) - 0.2 * places[-1]
                place = places[-1] + 3.8 * step / np.linalg.norm(step)
            places.append(place)
            lines.append(
                f"ATOM  {residue + 1:5d}  CA  {ACIDS[(residue * name + residue) % 6]} A"
                f"{residue + 1:4d}    {place[0]:8.3f}{place[1]:8.3f}{place[2]:8.3f}"
                "  1.00  0.00           C"
            )
        (folder / f"p{name}.pdb").write_text("\n".join([*lines, "END", ""]))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with models of sequences, one of molecules, and structures."""
    folder = tmp_path_factory.mktemp("agreement")
    peptides_fasta(folder)
    data = ["data=fasta", "data.path=peptides.fasta"]
    gia("train", *data, *FAST, "run_dir=causal", cwd=folder)
    masked = ["model=graph_transformer", "task=masked", "run_dir=masked"]
    gia("train", *data, *masked, *FAST, cwd=folder)
    write_table(
        folder / "molecules.csv",
        ["smiles", "y"],
        [[smiles + "C" * (i // 8), i] for i, smiles in enumerate(SMILES * 6)],
    )
    columns = ["data.smiles_column=smiles", "data.target_column=y", "run_dir=molecules"]
    settings = ["data=molecules", "data.path=molecules.csv", "data.features=null", "~blend"]
    gia("train", *settings, *columns, *FAST, cwd=folder)
    write_structures(folder / "pdb")
    return folder


@pytest.mark.parametrize("checkpoint", [CAUSAL, MASKED])
def test_contacts_of_proteins(folder, checkpoint):
    pytest.importorskip("gemmi", reason="gemmi is not installed")
    name = checkpoint.partition("/")[0]
    settings = [f"ckpt_path={checkpoint}", *STRUCTURES, f"out={name}.csv"]
    done = gia("agreement", *settings, cwd=folder)
    assert "fitted on 3 items" in done.stdout
    assert "all is measured on 3 others" in done.stdout
    assert "reads these edges itself" not in done.stdout  # it has never heard of contacts
    rows = read_table(folder / f"{name}.csv")
    columns = ["predictor", "layer", "head", "separation", "measure", "mean", "standard_error"]
    assert list(rows[0]) == [*columns, "items"]
    # Two layers of two heads, the regression, nearness and chance; 5 measures, 2 separations.
    assert len(rows) == (4 + 3) * 5 * 2
    heads = {(row["layer"], row["head"]) for row in rows if row["predictor"] == "head"}
    assert heads == {("1", "1"), ("1", "2"), ("2", "1"), ("2", "2")}
    assert {row["separation"] for row in rows} == {"6", "24"}
    assert {row["predictor"] for row in rows} == {"head", "regression", "distance", "random"}
    for row in rows:
        assert 0 <= float(row["mean"]) <= 1
        assert row["items"] == "3"
        if row["measure"] == "auroc" and row["predictor"] == "random":
            assert float(row["mean"]) == 0.5
    for picture in (f"{name}.png", f"{name}.svg", f"{name}_item.png", f"{name}_item.svg"):
        assert (folder / picture).stat().st_size > 5000


def test_other_settings(folder):
    pytest.importorskip("gemmi", reason="gemmi is not installed")
    settings = ["separation=8", "max_items=4", "fit_items=1", "seed=3", "out=few.csv"]
    done = gia("agreement", f"ckpt_path={CAUSAL}", *STRUCTURES, *settings, cwd=folder)
    assert "4 of 6 items are looked at (max_items=4)" in done.stdout
    assert "fitted on 1 items" in done.stdout
    assert {row["separation"] for row in read_table(folder / "few.csv")} == {"8"}
    settings = ["max_nodes=44", "out=none.csv"]
    done = gia("agreement", f"ckpt_path={CAUSAL}", *STRUCTURES, *settings, cwd=folder, check=False)
    assert "6 items of more than 44 nodes are left out (max_nodes)" in done.stdout
    assert "of 0 there are 0" in done.stderr


def test_a_model_that_reads_the_contacts_says_so(folder):
    pytest.importorskip("gemmi", reason="gemmi is not installed")
    settings = ["task=masked", "data.target_column=null", "data.split=random", "run_dir=contacts"]
    gia("train", *STRUCTURES, *settings, *FAST, cwd=folder)
    path = "ckpt_path=contacts/checkpoints/best.ckpt"
    done = gia("agreement", path, "data.path=pdb", "out=reads.csv", cwd=folder)
    assert "the model reads these edges itself" in done.stdout
    rows = read_table(folder / "reads.csv")
    found = [float(row["mean"]) for row in rows if (row["predictor"], row["measure"]) == AUROC]
    assert min(found) > 0.9


AUROC = ("regression", "auroc")


def test_a_run_draws_attention_on_a_contact_map(folder):
    pytest.importorskip("gemmi", reason="gemmi is not installed")
    rows = [[f"pdb/p{name}.pdb", name] for name in range(6)]
    write_table(folder / "structures.csv", ["structure", "y"], rows)
    data = ["data=protein_structures", "data.path=structures.csv", "data.target_column=y"]
    gia("train", *data, "data.split=random", *FAST, "run_dir=drawn", cwd=folder)
    assert {"contact_map.png", "contact_map.svg"} <= set(os.listdir(folder / "drawn"))


def test_bonds_of_molecules(folder):
    for more in ("part=all", "data.path=molecules.csv"):
        done = gia("agreement", f"ckpt_path={MOLECULES}", more, "out=bonds.csv", cwd=folder)
        assert "the model reads these edges itself" in done.stdout
        assert "fitted on 20 items" in done.stdout
        assert "all is measured on 28 others" in done.stdout
        rows = read_table(folder / "bonds.csv")
        assert {row["predictor"] for row in rows} == {"head", "regression", "degree", "random"}
        assert {row["separation"] for row in rows} == {"0"}
        (regression,) = [row for row in rows if (row["predictor"], row["measure"]) == AUROC]
        assert float(regression["mean"]) > 0.9
        assert all(math.isfinite(float(row["standard_error"])) for row in rows)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ([f"ckpt_path={CAUSAL}", "out=x.csv"], "whose neighbours alone are joined: name data"),
        (
            [f"ckpt_path={CAUSAL}", "data=fasta", "data.path=peptides.fasta", "out=x.csv"],
            "with no pair at least 6 apart that is joined",
        ),
        ([f"ckpt_path={MASKED}", *STRUCTURES, "out=x.txt"], "out=x.txt must end in .csv"),
        ([f"ckpt_path={MASKED}", *STRUCTURES, "part=val", "out=x.csv"], "part= is of the data"),
        ([f"ckpt_path={MASKED}", "data=protein_structures", "out=x.csv"], "data.path is missing"),
        ([f"ckpt_path={MOLECULES}", "part=some", "out=x.csv"], "part must be one of train, val"),
        ([f"ckpt_path={MOLECULES}", "separation=6", "out=x.csv"], "the items have no seq_pos"),
        ([f"ckpt_path={MOLECULES}", "max_items=1", "out=x.csv"], "max_items must be a whole"),
        ([f"ckpt_path={MOLECULES}", "max_nodes=many", "out=x.csv"], "max_nodes must be a whole"),
        (
            [f"ckpt_path={MOLECULES}", "fit_items=0", "out=x.csv"],
            "fit_items must be a whole number",
        ),
        (
            [
                *(f"ckpt_path={CAUSAL}", "data=molecules", "data.path=molecules.csv"),
                *("data.smiles_column=smiles", "out=x.csv"),
            ],
            "the model reads sequences of symbols, but",
        ),
    ],
)
def test_what_does_not_fit_is_told(folder, settings, reason):
    pytest.importorskip("gemmi", reason="gemmi is not installed")
    done = gia("agreement", *settings, cwd=folder, check=False)
    assert done.returncode == 1
    assert reason in done.stderr, done.stderr
    assert not (folder / "x.csv").exists()


def test_models_without_attention(folder):
    for model, reason in (
        ("pooled_mlp", "has no attention to compare"),
        ("gine", "no layer of the model draws a graph of its own"),
    ):
        settings = ["data=molecules", "data.path=molecules.csv", "data.smiles_column=smiles"]
        settings += ["data.target_column=y", "~blend", f"model={model}", f"run_dir={model}"]
        gia("train", *settings, *FAST[-3:], cwd=folder)
        path = f"ckpt_path={model}/checkpoints/best.ckpt"
        done = gia("agreement", path, "out=y.csv", cwd=folder, check=False)
        assert done.returncode == 1
        assert reason in done.stderr, done.stderr


def test_a_model_of_bytes_is_told(folder):
    with open(folder / "text.txt", "w") as file:
        csv.writer(file).writerows([["to be or not to be", i] for i in range(400)])
    gia(
        "train",
        "data=text",
        "data.path=text.txt",
        "data.max_length=32",
        *FAST,
        "run_dir=bytes",
        cwd=folder,
    )
    settings = ["ckpt_path=bytes/checkpoints/best.ckpt", *STRUCTURES, "out=z.csv"]
    done = gia("agreement", *settings, cwd=folder, check=False)
    assert "the model reads bytes or parts of words" in done.stderr
