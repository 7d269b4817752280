"""A forest's run: the data, the split and the metrics of every other run."""

import json

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from rich.console import Console
from runs import compose_config

from gia.training import EnsembleRun, FittedRun, Run, load_trained

pytest.importorskip("rdkit")
PARTS = ["callbacks.progress_bar=null", "++trainer.enable_progress_bar=false", "~logger"]
SMILES = ["C" * n + end for n in range(1, 9) for end in ("O", "N", "Cl", "c1ccccc1")]


def config(tmp_path, *overrides):
    table = tmp_path / "molecules.csv"
    rows = [f"{s},{len(s) + (s[-1] == 'O')},{'' if i % 5 else i}" for i, s in enumerate(SMILES)]
    table.write_text("\n".join(["smiles,y,z", *rows, ""]))
    columns = ["data.smiles_column=smiles", "data.target_column=[y,z]", "data.val_fraction=0.2"]
    return compose_config(
        "data=molecules", f"data.path={table}", *columns, "name=test", *PARTS, *overrides
    )


def test_a_forest_runs_in_the_same_harness(tmp_path):
    forest = config(tmp_path, "model=random_forest", "model.num_trees=20", f"run_dir={tmp_path}/a")
    run = instantiate(forest.runner)(forest)
    assert isinstance(run, FittedRun)
    metrics = run.fit()
    other = config(tmp_path, "model=gine", "model.width=16", f"run_dir={tmp_path}/b")
    network = instantiate(other.runner)(other)
    assert type(network) is Run
    splits = [OmegaConf.load(r.folder / "config.yaml").split_fingerprint for r in (run, network)]
    assert splits[0] == splits[1]
    # The metrics are the task's own: by hand, in the units of y, the missing ones left out.
    (batch,) = run.datamodule.loader("test")
    said = run.task.predict_step(batch)
    error = (said - batch.y)[:, 0]
    assert metrics["test/rmse/y"] == pytest.approx(float(error.square().mean().sqrt()), rel=1e-4)
    (row,) = run.history.epochs
    assert {"val/rmse", "train_eval/rmse", "val/loss"} <= row.keys()
    assert row["step"] == 0
    assert run.throughput.seconds > 0
    run.task.report(run, metrics, Console(quiet=True))
    summary = json.loads((run.folder / "summary.json").read_text())
    assert summary["test"]["rmse"] == pytest.approx(metrics["test/rmse"])
    assert (run.folder / "parity.png").is_file()


def test_it_repeats_itself_and_cannot_be_resumed(tmp_path):
    settings = ["model=random_forest", "model.num_trees=5"]
    metrics = []
    for name in "ab":
        torch.manual_seed(ord(name))
        cfg = config(tmp_path, *settings, f"run_dir={tmp_path}/{name}")
        metrics.append(instantiate(cfg.runner)(cfg).fit())
    assert metrics[0] == pytest.approx(metrics[1], abs=0, nan_ok=True)
    run = instantiate(cfg.runner)(config(tmp_path, *settings, f"run_dir={tmp_path}/c"))
    run.ckpt_path = "last.ckpt"
    with pytest.raises(ValueError, match="nothing to resume; leave ckpt_path out"):
        run.fit()


def test_it_says_that_it_is_kept_in_no_checkpoint(tmp_path):
    cfg = config(tmp_path, "model=random_forest", "model.num_trees=2", f"run_dir={tmp_path}/a")
    run = instantiate(cfg.runner)(cfg)
    assert "kept in no checkpoint for gia predict" in run.notes[-1]
    run.fit()
    with pytest.raises(FileNotFoundError, match=r"fitted at once, as random_forest, keeps none"):
        load_trained(run.folder / "checkpoints" / "best.ckpt")


def test_an_ensemble_of_it_is_refused_before_anything_is_fitted(tmp_path):
    cfg = config(tmp_path, "model=random_forest", "ensemble=2", f"run_dir={tmp_path}/a")
    with pytest.raises(ValueError, match="and are trained by steps"):
        EnsembleRun.from_config(cfg)
