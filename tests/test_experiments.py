"""Each experiment runs from its data to its pictures, with a few batches of a small model."""

import json

import pytest
from conftest import ROOT
from runs import in_fresh_process

EXPERIMENTS = sorted(path.stem for path in (ROOT / "conf" / "experiment").glob("[!_]*.yaml"))
FROM_PACKAGES = {"peptide_lm", "peptide_activity", "melting_point"}
ADAPTERS = ("_graph_lora", "_lora", "_sparse_gin")
PREDICTIONS = {
    "peptide_activity": "accuracy",
    "melting_point": "rmse",
    "secondary_structure": "accuracy",
    "fold": "accuracy",
    **dict.fromkeys(("expt_gap", "steels", "dielectric", "perov5"), "mae"),
    "glass": "accuracy",
}
LONG = {  # thousands of items are read
    *("melting_point", "secondary_structure", "fold", "contacts"),
    *("expt_gap", "dielectric", "glass", "perov5"),
}
MATERIALS = ("expt_gap", "steels", "dielectric", "glass", "perov5")


def when(experiment):
    """Those that read much, or a pretrained model, are slow."""
    long = experiment in LONG or experiment.endswith(ADAPTERS)
    marks = [pytest.mark.slow] if long else []
    return pytest.param(experiment, marks=marks)


@pytest.mark.parametrize("experiment", list(map(when, EXPERIMENTS)))
def test_experiment_runs(experiment, request, tmp_path):
    environment = {}
    if experiment in MATERIALS:
        pytest.importorskip("pymatgen", reason="pymatgen is not installed")
        pytest.importorskip("lightgbm", reason="LightGBM is not installed")
    if experiment not in FROM_PACKAGES:
        shared = request.getfixturevalue("shared_data")
        environment = {"GIA_DATA": str(shared), "GIA_MODELS": str(shared.parent / "models")}
    arguments = [f"experiment={experiment}", "debug=fast", "run_dir=run"]
    done = in_fresh_process("train", *arguments, cwd=tmp_path, **environment)
    assert done.returncode == 0, done.stderr
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    if experiment in PREDICTIONS:
        metric = PREDICTIONS[experiment]
        assert summary["test"][metric] > 0
        assert metric in summary["trivial_test"]
        assert len((tmp_path / "run" / "predictions.csv").read_text().splitlines()) > 30
        return
    if experiment.endswith(ADAPTERS):
        assert summary["test"]["loss"] < summary["base_test_loss"]
        assert (tmp_path / "run" / "samples.txt").read_text().startswith("== step 4")
        return
    if experiment == "contacts":
        assert 0 < summary["test"]["loss"] < 10
        assert 0 <= summary["test"]["accuracy"] <= 1
        return
    assert 0 < summary["test"]["bits"] < 10
    assert len(summary["pictures"]) == 6
    if experiment == "protein_fold":
        assert summary["data"]["sequences"] == 5370
        assert summary["data"]["cut"] > 0
        assert "were cut" in done.stdout
        assert 0 <= summary["test"]["class_accuracy"] <= 1
        assert "class accuracy" in done.stdout


@pytest.mark.slow
def test_the_default_beats_the_best_n_gram(tmp_path):
    """On the default split, with the default settings: what `make train` promises."""
    done = in_fresh_process("train", "run_dir=run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["test"]["loss"] < min(summary["ngram_test_loss"].values())
