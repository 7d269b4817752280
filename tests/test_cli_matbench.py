"""Five folds as Matbench's own record: its names of rows, its scores, its hash."""

import csv
import hashlib
import json

import numpy as np
import pytest
from omegaconf import OmegaConf
from rich.console import Console
from runs import compose_config, gia

from gia.analysis.matbench import matbench_record, matbench_scores
from gia.training import run_of

PARTS = ["callbacks.progress_bar=null", "++trainer.enable_progress_bar=false", "~logger"]


def write_folds(folder, number=47, classes=(), task="steels_yield"):
    """Runs of five folds of a table, row k in fold k % 5."""
    generator = np.random.default_rng(0)
    for fold in range(5):
        run = folder / str(fold)
        run.mkdir(parents=True)
        data = {"split": "matbench", "fold": fold, "path": f"x/{task}.csv"}
        inputs = {"target_names": ["y"], "class_names": list(classes)}
        known = {"data": data, "inputs": inputs, "seed": 3, "model": {"_target_": "a.B"}}
        OmegaConf.save(OmegaConf.create(known), run / "config.yaml")
        rows = range(fold, number, 5)
        lines = []
        for row in rows:
            said = generator.random()
            if classes:
                lines.append([row, classes[row % 3 > 0], 1 - said, said])
            else:
                lines.append([row, float(row), row + said])
        heads = [f"probability_{name}" for name in classes] or ["predicted_y"]
        with (run / "predictions.csv").open("w", newline="") as file:
            csv.writer(file).writerows([["row", "y", *heads], *lines])
    return folder


def test_a_record_has_matbenchs_names_scores_and_hash(tmp_path):
    write_folds(tmp_path / "steels")
    done = gia("matbench", "runs=steels", "out=r.json", "+metadata.authors=A B", cwd=tmp_path)
    record = json.loads((tmp_path / "r.json").read_text())
    task = "matbench_steels"
    fold = record["tasks"][task]["results"]["fold_0"]
    assert record["tasks"][task]["dataset_name"] == task
    assert list(fold["data"])[:3] == ["mb-steels-01", "mb-steels-06", "mb-steels-11"]
    errors = np.array([value - 5 * k for k, value in enumerate(fold["data"].values())])
    assert fold["scores"]["mae"] == pytest.approx(errors.mean())
    assert fold["scores"]["rmse"] == pytest.approx((errors**2).mean() ** 0.5)
    assert fold["scores"]["mape"] == pytest.approx((errors[1:] / range(5, 50, 5)).mean())
    assert fold["scores"]["max_error"] == pytest.approx(errors.max())
    assert fold["parameters"] == {"model": "a.B", "seed": 3}
    assert record["user_metadata"] == {"algorithm": "gia", "authors": "A B"}
    hashed = {key: value for key, value in record.items() if key != "hash"}
    text = json.dumps(hashed, sort_keys=True)
    assert record["hash"] == hashlib.sha256(text.encode()).hexdigest()
    assert "matbench_steels" in done.stdout
    assert f"{errors.mean():.4g}" in done.stdout


def test_classes_are_probabilities_of_the_second(tmp_path):
    write_folds(tmp_path, classes=["no", "yes"], task="glass")
    (task,) = matbench_record([tmp_path])["tasks"].values()
    fold = task["results"]["fold_1"]
    said = np.array(list(fold["data"].values())) > 0.5
    true = np.arange(1, 47, 5) % 3 > 0
    assert fold["scores"]["accuracy"] == pytest.approx((said == true).mean())
    halves = [(said == true)[true].mean(), (said == true)[~true].mean()]
    assert fold["scores"]["balanced_accuracy"] == pytest.approx(np.mean(halves))
    assert fold["scores"]["rocauc"] == pytest.approx(np.mean(halves))  # of the decisions


def test_what_is_no_whole_record_is_refused(tmp_path):
    folds = write_folds(tmp_path / "a")
    with pytest.raises(FileNotFoundError, match=r"predictions.csv is missing"):
        matbench_record([tmp_path / "b"])
    with pytest.raises(ValueError, match=r"lacks fold 1, 3: train with data.fold=0,1,2,3,4"):
        matbench_record([folds / "0", folds / "2", folds / "4"])
    with pytest.raises(ValueError, match="both tested fold 2 of matbench_steels"):
        matbench_record([folds, folds / "2"])
    other = folds / "4" / "predictions.csv"
    other.write_text("".join(other.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(ValueError, match="do not hold each row of one table once"):
        matbench_record([folds])
    config = OmegaConf.load(folds / "1" / "config.yaml")
    config.data.split = "random"
    OmegaConf.save(config, folds / "1" / "config.yaml")
    with pytest.raises(ValueError, match=r"tested no fold of Matbench.*got data.split=random"):
        matbench_record([folds])


@pytest.fixture(scope="module")
def steels(tmp_path_factory, shared_data):
    """Five folds of the real table, by a few trees."""
    pytest.importorskip("pymatgen", reason="pymatgen is not installed")
    pytest.importorskip("lightgbm", reason="LightGBM is not installed")
    folder = tmp_path_factory.mktemp("steels")
    path = shared_data / "materials" / "composition" / "steels_yield.csv"
    settings = ["data=steels", f"data.path={path}", "loss=mae", "model.num_trees=20"]
    for fold in range(5):
        own = [f"data.fold={fold}", f"run_dir={folder}/{fold}", "name=test"]
        run = run_of(compose_config(*settings, "model=gradient_boosting", *PARTS, *own))
        run.task.report(run, run.fit(), Console(quiet=True))
    return folder


def test_folds_of_real_runs_are_matbenchs(steels):
    (task,) = matbench_record([steels])["tasks"].values()
    folds = [list(fold["data"]) for fold in task["results"].values()]
    assert [len(fold) for fold in folds] == [63, 63, 62, 62, 62]
    # As Matbench has published them.
    assert [fold[0][-3:] for fold in folds] == ["003", "004", "017", "002", "001"]
    errors = [fold["scores"]["mae"] for fold in task["results"].values()]
    told = [json.loads((steels / str(k) / "summary.json").read_text()) for k in range(5)]
    assert errors == pytest.approx([one["test"]["mae"] for one in told], rel=1e-4)


@pytest.mark.parametrize("classes", [(), ("no", "yes")])
def test_scores_are_those_of_the_package(classes):
    data = pytest.importorskip("matbench.data_ops", reason="matbench is not installed")
    generator = np.random.default_rng(1)
    target = generator.integers(0, 2, 50) if classes else generator.normal(size=50)
    predicted = generator.random(50)
    kind = "classification" if classes else "regression"
    theirs = data.score_array((target > 0 if classes else target).tolist(), predicted, kind)
    assert matbench_scores(target, predicted, bool(classes)) == pytest.approx(theirs)


def test_the_package_reads_the_record(steels, tmp_path):
    bench = pytest.importorskip("matbench.bench", reason="matbench is not installed")
    file = tmp_path / "record.json"
    file.write_text(json.dumps(matbench_record([steels])))
    read = bench.MatbenchBenchmark.from_file(file)
    assert read.is_valid
    assert read.matbench_steels.all_folds_recorded
    assert 50 < read.scores.matbench_steels.mae.mean < 300
