"""What a trial is: the validation of a training as it is, and never anything of its test part."""

import re

import pytest
import yaml

pytest.importorskip("optuna")

from runs import SMALL, gia, read_table, write_table

GRAPHS = [
    *SMALL[:3], "data=molecules", "data.path=chains.csv", "data.smiles_column=smiles",
    "data.target_column=y", "data.split=given", "data.split_column=part", "trainer.max_epochs=2",
]  # fmt: skip


def write_chains(folder, of_test=lambda y: y):
    """Alkanols and alkylamines with a number that their length and end say."""
    pytest.importorskip("rdkit")
    rows = []
    for i in range(60):
        part = ("test", "val", *["train"] * 4)[i % 6]
        y = i // 2 + 5 * (i % 2)
        rows.append(["C" * (i // 2 + 1) + "ON"[i % 2], of_test(y) if part == "test" else y, part])
    write_table(folder / "chains.csv", ["smiles", "y", "part"], rows)


def searched(folder, *arguments):
    done = gia("search", *arguments, "run_dir=s", cwd=folder, OMP_NUM_THREADS="1")
    return done.stdout, read_table(folder / "s" / "trials.csv")


@pytest.mark.slow
def test_a_trial_trains_as_gia_train_does_whatever_the_test_part_says(tmp_path):
    stops = ["trainer.max_epochs=20", "callbacks.early_stopping.patience=2"]
    stops += ["+callbacks.early_stopping.min_delta=100", "callbacks.average.decay=0.5"]
    found = []
    for name, of_test in (("as it is", lambda y: y), ("odd", lambda y: 1e6 - 7 * y)):
        folder = tmp_path / name
        folder.mkdir()
        write_chains(folder, of_test)
        varied = ["space=null", "model.depth=choice(1,2)"]
        said, rows = searched(folder, *GRAPHS, *stops, *varied, "ensemble=2")
        assert "ensemble=2 is for gia train: trials train one model" in said
        assert [row["validations"] for row in rows] == ["3", "3"]  # then it stopped
        found.append([[row[key] for key in row if key != "seconds"] for row in rows])
    assert found[0] == found[1]
    # The file trains the ensemble, and its first member as the best trial was.
    assert "ensemble=2" in yaml.safe_load((folder / "s" / "best.yaml").read_text())
    more = ["run_dir=trained", "callbacks.progress_bar=null"]
    gia("train", "@s/best.yaml", *more, cwd=folder, OMP_NUM_THREADS="1")
    assert (folder / "trained" / "members" / "1").is_dir()
    curve = read_table(folder / "trained" / "members" / "0" / "metrics.csv")
    losses = [float(row["val/loss"]) for row in curve if row["val/loss"]]
    assert len(losses) == 3
    best = min(float(row["val/loss"]) for row in rows)
    assert min(losses) == pytest.approx(best, rel=1e-4)


@pytest.mark.slow
def test_of_a_blend_the_network_alone_is_searched(tmp_path):
    pytest.importorskip("lightgbm")
    write_chains(tmp_path)
    blend = ["blend=gradient_boosting", "space=null", "trials=2"]
    said, rows = searched(tmp_path, *GRAPHS, *blend, "model.depth=choice(1,2)")
    assert "blend= is for gia train: trials train the network alone" in said
    assert [row["state"] for row in rows] == ["complete"] * 2
    assert "blend=gradient_boosting" in yaml.safe_load((tmp_path / "s" / "best.yaml").read_text())
    for sweep in ("blend=choice(gradient_boosting,_fingerprints)", "blend.seed=choice(1,2)"):
        varied = ["blend=gradient_boosting", sweep][sweep[5] == "=" :]
        done = gia("search", *GRAPHS, *varied, "run_dir=t", cwd=tmp_path, check=False)
        assert done.returncode == 1
        assert f"{sweep}: a trial trains one model, so that this cannot be varied" in done.stderr


@pytest.mark.slow
def test_a_forest_is_searched_by_a_metric_that_grows(tmp_path):
    write_chains(tmp_path)
    data = [setting for setting in GRAPHS if setting.startswith("data")]
    forest = ["model=random_forest", "model.num_trees=5", "model.min_samples_leaf=choice(5,1,40)"]
    metric = ["callbacks.best.monitor=val/r2", "+callbacks.best.mode=max"]
    said, rows = searched(tmp_path, *data, *forest, *metric, "space=null", "jobs=2")
    r2 = {int(row["model.min_samples_leaf"]): float(row["val/r2"]) for row in rows}
    assert list(r2) == [1, 5, 40]  # as it is first
    assert r2[1] > r2[5] > r2[40]
    assert f"val/r2 {r2[1]:.4g}: nothing was better than the settings as they are" in said
    assert "model.min_samples_leaf=1" in (tmp_path / "s" / "best.yaml").read_text()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            ["callbacks.best.monitor=val/foo"],
            r"callbacks.best.monitor=val/foo: validation gives no such metric; it gives val/.*",
        ),
        (
            ["data.split=random", "data.split_seed=choice(0,1)", "space=null"],
            r"what is varied changes which items there are or how they are split, .*",
        ),
    ],
)
@pytest.mark.slow
def test_trials_that_cannot_be_compared_end_the_search(settings, said, tmp_path):
    write_chains(tmp_path)
    done = gia("search", *GRAPHS, *settings, "run_dir=s", cwd=tmp_path, check=False)
    assert done.returncode == 1
    assert re.fullmatch(f"gia: {said}", done.stderr.strip())
