"""Pretrain, then predict: the recipes of docs/pretraining.md, at a toy's size."""

import csv
import json
import re

import pytest
from conftest import ROOT
from runs import gia

from gia.data import Compounds, Peptides

FAST = [
    *("model.width=16", "model.heads=2", "model.depth=2", "mlp.hidden=24"),
    *("callbacks.progress_bar=null", "logger.tensorboard=null", "trainer.max_epochs=1"),
]
PAGE = ROOT / "docs" / "pretraining.md"
BEST = "init_from={}/checkpoints/best.ckpt"


def taken(done):
    """How many tensors of encoder and blocks were taken, and of how many."""
    found = re.search(r"(\d+) of (\d+) tensors of encoder and blocks taken", done.stdout)
    return int(found[1]), int(found[2])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pretraining")
    _, rows = Compounds("melting_point").table()
    with (folder / "molecules.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["cas", "smiles", "Tm"], *(r.values() for r in rows[::100])])
    return folder


MOLECULES = ["data=molecules", "data.path=molecules.csv", "data.smiles_column=smiles"]
TARGET = "data.target_column=Tm"


@pytest.mark.parametrize(
    "pretraining",
    [
        pytest.param(["data=chemicals", "data.number=100"], marks=pytest.mark.slow),
        ["data=chemicals", "data.number=100", "task=masked"],
        [*MOLECULES, "data.target_column=null", "data.computed_targets=rdkit_2d",
         "data.features=null"],
        [*MOLECULES, "data.target_column=null", "task=masked"],
    ],
    ids=["descriptors", "masked", "own descriptors", "own masked"],
)  # fmt: skip
def test_molecules_start_from_what_was_learned_without_targets(folder, pretraining, request):
    name = request.node.callspec.id.replace(" ", "_")
    done = gia("train", *pretraining, *FAST, f"run_dir={name}", cwd=folder)
    assert "everything is in" in done.stdout
    summary = json.loads((folder / name / "summary.json").read_text())
    assert summary["test"]["loss"] > 0
    done = gia("train", *MOLECULES, TARGET, *FAST, BEST.format(name), f"run_dir={name}_on",
               cwd=folder)  # fmt: skip
    number, of = taken(done)
    assert number == of > 20


@pytest.mark.slow
def test_peptides_and_a_fasta_file(folder):
    gia("train", "data=peptide_activity", "task=masked", *FAST, "trainer.limit_train_batches=3",
        "run_dir=peptides", cwd=folder)  # fmt: skip
    records = Peptides().records()[::40]
    text = "".join(f">{record.name}\n{record.sequence}\n" for record in records)
    (folder / "x.fasta").write_text(text)
    sequences = ["data=fasta", "data.path=x.fasta", "model=graph_transformer", "task=masked"]
    gia("train", *sequences, *FAST, "run_dir=fasta", cwd=folder)
    for name in ("peptides", "fasta"):
        done = gia("train", "data=peptide_activity", *FAST, "trainer.limit_train_batches=3",
                   BEST.format(name), f"run_dir={name}_on", cwd=folder)  # fmt: skip
        number, of = taken(done)
        assert number == of > 20


def test_it_is_evaluated_embedded_and_does_not_predict(folder):
    gia("train", *MOLECULES, TARGET, "task=masked", *FAST, "run_dir=guess", cwd=folder)
    best = "ckpt_path=guess/checkpoints/best.ckpt"
    summary = json.loads((folder / "guess" / "summary.json").read_text())
    done = gia("evaluate", best, cwd=folder)
    assert f"{summary['test']['loss']:.4f}" in done.stdout  # the same nodes are hidden
    gia("embed", best, "out=guess.npz", cwd=folder)
    done = gia("predict", best, "data.path=molecules.csv", cwd=folder, check=False)
    assert done.returncode == 1
    assert "was trained on hidden nodes, which predicts no targets" in done.stderr
    assert "init_from" in done.stderr


BAD = {
    "share": (["task=masked", "task.share=2"], "task.share must be between 0 and 1, got 2"),
    "targets": (["data.computed_targets=rdkit_2d"], "give data.target_column=null with it"),
    "kind": (
        ["data.target_column=null", "data.computed_targets=mordred"],
        "data.computed_targets must be one of rdkit_2d, got 'mordred'",
    ),
    "sequences": (["task=masked", "data.smiles_column=Tm"], "rdkit rejects"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_gets_one_clear_message(folder, case):
    overrides, message = BAD[case]
    run = f"run_dir=bad_{case}"
    done = gia("train", *MOLECULES, TARGET, *FAST, run, *overrides, cwd=folder, check=False)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr + done.stdout


def test_the_page_names_settings_that_there_are():
    for command in re.findall(r"^python train.py (.*?)(?<!\\)$", PAGE.read_text(), re.M | re.S):
        for setting in command.replace("\\\n", " ").split():
            group, _, option = setting.partition("=")
            if group in ("data", "task", "model"):
                assert (ROOT / "conf" / group / f"{option}.yaml").exists(), setting
