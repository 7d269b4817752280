"""Several processes train as one: the real thing, on processors."""

import csv
import json
import os
import subprocess
import sys

import pytest
import torch
from conftest import ROOT
from runs import peptides_fasta, write_table

from gia.data import Compounds

SMALL = [
    *("model.width=16", "model.heads=2", "model.depth=2", "model.dropout=0"),
    *("trainer.max_epochs=2", "trainer.precision=64-true", "scheduler=constant"),
    *("logger.tensorboard=null", "callbacks.progress_bar=null", "callbacks.average=null"),
]
GIA = [sys.executable, "-m", "gia.cli", "train"]
LAUNCHER = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
TWO = "trainer=ddp_cpu"
ONE = "trainer.accumulate_grad_batches=2"  # of the batches that two processes have at once


def run(folder, *arguments, program=GIA, check=True, **env):
    done = subprocess.run(
        [*program, *arguments],
        cwd=folder, capture_output=True, text=True, check=False, timeout=300,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **env},
    )  # fmt: skip
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


def weights(folder):
    path = folder / "checkpoints" / "last.ckpt"
    state = torch.load(path, weights_only=True)["state_dict"]
    return {k: v for k, v in state.items() if v.is_floating_point() and "running" not in k}


def farthest(one, other):
    one, other = weights(one), weights(other)
    assert one.keys() == other.keys()
    return max(float((one[key] - other[key]).abs().max()) for key in one)


def measured(folder):
    with (folder / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    keys = ("val/loss", "train_eval/loss", "generalisation_gap")
    return [float(row[key]) for row in rows for key in keys if row.get(key)]


@pytest.fixture(scope="module")
def peptides(tmp_path_factory):
    """Nine batches an epoch: the second process lacks the last."""
    folder = tmp_path_factory.mktemp("peptides")
    peptides_fasta(folder)
    data = ["data=fasta", "data.path=peptides.fasta", "data.tokens_per_batch=900"]
    run(folder, *data, *SMALL, ONE, "run_dir=one")
    done = run(folder, *data, *SMALL, TWO, "run_dir=two")
    return folder, [*data, *SMALL], done


def test_two_processes_are_one(peptides):
    folder, _, _ = peptides
    config = (folder / "two" / "config.yaml").read_text()
    assert "strategy: ddp" in config
    assert (
        torch.load(folder / "two" / "checkpoints" / "last.ckpt", weights_only=True)["global_step"]
        == 2 * 5
    )
    assert farthest(folder / "one", folder / "two") < 1e-10
    assert measured(folder / "two") == pytest.approx(measured(folder / "one"), rel=1e-6)
    one, two = (json.loads((folder / run / "summary.json").read_text()) for run in ("one", "two"))
    assert two["test"] == pytest.approx(one["test"], rel=1e-6)
    assert two["ngram_test_loss"] == pytest.approx(one["ngram_test_loss"])


def test_they_speak_with_one_voice_and_have_one_folder(peptides):
    folder, _, done = peptides
    assert done.stdout.count("everything is in two") == 1
    assert done.stdout.count("parameters; run folder two") == 1
    assert "sync_dist" not in done.stderr
    names = {path.name for path in (folder / "two").iterdir()}
    assert names == {path.name for path in (folder / "one").iterdir()}


@pytest.mark.slow
def test_processes_of_a_launcher(peptides):
    folder, data, _ = peptides
    train = [*LAUNCHER, str(ROOT / "train.py")]
    done = run(folder, *data, TWO, program=train, check=False)
    assert "run_dir is missing: 2 processes were started at once" in done.stderr
    assert list(folder.glob("runs/*/*")) == []
    run(folder, *data, TWO, "run_dir=launched", program=train)
    assert farthest(folder / "one", folder / "launched") < 1e-10


@pytest.mark.slow
def test_it_is_resumed(peptides):
    folder, data, _ = peptides
    run(folder, *data, TWO, "trainer.max_epochs=1", "run_dir=half")
    run(folder, *data, TWO, "run_dir=whole", "ckpt_path=half/checkpoints/last.ckpt")
    assert farthest(folder / "two", folder / "whole") == 0


@pytest.mark.slow
def test_targets_count_alike_wherever_they_are(tmp_path):
    """Two targets, one of which is mostly missing: processes have different numbers of them."""
    _, rows = Compounds("melting_point").table()
    rows = [list(row.values()) for row in rows[::130]]
    rows = [[*row, row[2] if i % 3 == 0 else ""] for i, row in enumerate(rows)]
    write_table(tmp_path / "m.csv", ["cas", "SMILES", "a", "b"], rows)
    data = ["data=molecules", "data.path=m.csv", "data.smiles_column=SMILES", "data.batch_size=16"]
    data += ["data.target_column=[a,b]", "data.features=null", *SMALL]
    run(tmp_path, *data, ONE, "run_dir=one")
    run(tmp_path, *data, TWO, "run_dir=two")
    assert farthest(tmp_path / "one", tmp_path / "two") < 1e-10
    one, two = ((tmp_path / run / "predictions.csv").read_text() for run in ("one", "two"))
    assert one.count("\n") == two.count("\n")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["ensemble=2"], "ensemble= trains its members one after the other, on one process"),
        pytest.param(
            ["model=random_forest"],
            "this model is fitted at once on one process",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_what_needs_one_process_says_so(tmp_path, settings, said):
    _, rows = Compounds("melting_point").table()
    write_table(tmp_path / "m.csv", ["cas", "SMILES", "a"], [row.values() for row in rows[::200]])
    data = ["data=molecules", "data.path=m.csv", "data.smiles_column=SMILES"]
    done = run(tmp_path, *data, "data.target_column=a", TWO, *settings, check=False)
    assert done.returncode == 1
    assert said in done.stderr
    assert "give trainer.devices=1" in done.stderr
