"""``gia predict explain=``: a known cause is found, and what is wrong is told before any work."""

import csv
import random

import pytest
import torch
from runs import gia
from runs import read_table as read

from gia.analysis import node_encoders, occlusion
from gia.training import load_trained, trained_data

CHECKPOINT = "ckpt=run/checkpoints/best.ckpt"
TABLE = ["data.path=table.csv", "data.sequence_column=sequence"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run on sequences whose target is how many K they have."""
    folder, draw = tmp_path_factory.mktemp("explain"), random.Random(0)
    sequences = ["".join(draw.choices("ACDEGK", k=12)) for _ in range(150)]
    with (folder / "table.csv").open("w", newline="") as file:
        rows = [[sequence, sequence.count("K")] for sequence in sequences]
        csv.writer(file).writerows([["sequence", "number of K"], *rows])
    settings = [
        *("data=labelled_csv", *TABLE, "data.target_column=number of K", "data.split=random"),
        *("model.width=16", "model.heads=2", "model.depth=2", "mlp.hidden=24"),
        *("callbacks.progress_bar=null", "logger.tensorboard=null", "run_dir=run"),
        *("data.batch_size=16", "trainer.max_epochs=12", "optimizer.lr=0.01"),
    ]
    gia("train", *settings, cwd=folder)
    return folder


@pytest.mark.parametrize("method", ["true", "gradient"])
def test_a_known_cause_is_found(folder, method):
    out = f"{method}.csv"
    done = gia("predict", CHECKPOINT, *TABLE, f"explain={method}", f"out={out}", cwd=folder)
    assert f"20 of 150 predictions explained in {method}_explained (explain_rows=20)" in done.stdout
    rows = read(folder / f"{method}_explained" / "attributions.csv")
    assert len(rows) == 20 * 12
    shares = {True: [], False: []}
    for row in rows:
        shares[row["symbol"] == "K"].append(float(row["attribution_number of K"]))
    means = {is_k: sum(values) / len(values) for is_k, values in shares.items()}
    assert means[True] > means[False] + 0.3
    assert len(list((folder / f"{method}_explained").glob("*_row_*.svg"))) == 20


def test_attributions_are_those_of_python(folder):
    gia("predict", CHECKPOINT, *TABLE, "explain=true", "explain_rows=1", cwd=folder)
    rows = read(folder / "table_predicted_explained" / "attributions.csv")
    written = [float(row["attribution_number of K"]) for row in rows]
    task, config = load_trained(folder / "run" / "checkpoints" / "best.ckpt")
    config.data.path = str(folder / "table.csv")
    graph = trained_data(config, whole=True).part("test")[0]
    found = occlusion(task.eval().predict_step, graph, node_encoders(task))[:, 0]
    torch.testing.assert_close(torch.tensor(written), found, rtol=1e-3, atol=1e-5)


BAD = {
    "method": (["explain=why"], "explain must be one of true, false, occlusion, gradient, got"),
    "rows": (["explain=true", "explain_rows=0"], "explain_rows must be a whole number of at least"),
    "folder": (["explain=true", "out=run.csv"], "holds other things: move it"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_settings_get_one_clear_message(folder, case):
    settings, message = BAD[case]
    if case == "folder":
        (folder / "run_explained").mkdir()
        (folder / "run_explained" / "mine.txt").write_text("mine")
    done = gia("predict", CHECKPOINT, *TABLE, "out=new.csv", *settings, cwd=folder, check=False)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert not (folder / "new.csv").exists()
    assert not (folder / "run.csv").exists()
