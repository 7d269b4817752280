"""A run calibrates what it keeps, and the file predicts what the run did."""

import csv
import math

import pytest
import torch
from runs import SMALL, compose_config

from gia.data import DataModule
from gia.training import calibrate, load_trained, trained_data
from gia.training.calibration import CALIBRATION, TRAINING_SET, keep
from gia.training.checkpoint import read_checkpoint
from gia.training.ensemble import EnsembleRun
from gia.training.fitted import FittedRun
from gia.training.run import Run

SETTINGS = [
    *("model=graph_transformer", "trainer.max_epochs=2", "data.rwse=4", "data.split=random"),
    *("data=molecules", "data.smiles_column=smiles", "data.val_fraction=0.2"),
]
NAN = math.nan


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Numbers y, of which a few are bounds, z that are rarely known, and classes."""
    pytest.importorskip("rdkit")
    path = tmp_path_factory.mktemp("table") / "chains.csv"
    rows = [
        [f"{'C' * (i % 12 + 1)}{'ON'[i % 2]}{'C' * (i // 12)}", i % 12 + i % 7 / 10]
        for i in range(150)
    ]
    rows = [
        [smiles, f">{y}" if i % 10 == 3 else y, i if i % 5 == 0 else "", "ab"[y > 5]]
        for i, (smiles, y) in enumerate(rows)
    ]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["smiles", "y", "z", "c"], *rows])
    return path


def config(folder, table, *overrides, target="[y,z]"):
    own = [f"data.path={table}", f"data.target_column={target}", f"run_dir={folder}"]
    return compose_config(*SMALL, *SETTINGS, *own, *overrides)


@pytest.fixture(scope="module")
def trained(table, tmp_path_factory):
    run = Run.from_config(config(tmp_path_factory.mktemp("run") / "r", table, "loss=gaussian"))
    run.fit()
    return run


def best(run):
    return run.folder / "checkpoints" / "best.ckpt"


def alike(found, again):
    for name in ("output", "std", "lower", "upper"):
        value, other = getattr(found, name), getattr(again, name)
        assert (value is None) == (other is None), name
        if value is not None:
            torch.testing.assert_close(value, other, equal_nan=True)


def test_the_file_predicts_what_the_run_did(trained):
    task, config = load_trained(best(trained))
    data = trained_data(config)
    found = trained.task.predictions(trained.datamodule.loader("test"))
    alike(task.predictions(data.loader("test")), found)
    assert found.lower[:, 0].isfinite().all()
    assert (found.lower[:, 0] < found.output[:, 0, 0]).all()
    assert found.uncalibrated.lower is None
    texts = list(found.texts.values())
    assert task.training_set.similarity(texts) == trained.task.training_set.similarity(texts)
    assert set(task.training_set.similarity([data.train_data[0].text])) == {1}


def test_calibration_is_of_the_validation_part_without_bounds_and_missing_ones(trained):
    y = torch.cat([graph.y for graph in trained.datamodule.val_data])
    known = (~y.isnan()).sum(0)
    calibration = trained.task.calibration
    assert torch.equal(calibration.known, known)
    assert len(y) > known[0] >= 20 > known[1]
    assert calibration.learned.tolist() == [True, False]
    assert trained.task.interval_columns() == ["lower_y", "upper_y"]
    assert trained.task.std_columns() == ["uncertainty_y", "uncertainty_z"]
    (note,) = trained.task.calibration_notes()
    assert f"the validation part knows {int(known[1])} of 'z', fewer than 20" in note
    # In the validation part itself as many are covered as the rank says.
    found = trained.task.predictions(trained.datamodule.loader("val"))
    inside = (found.lower <= found.target) & (found.target <= found.upper)
    assert int(inside[:, 0].sum()) == math.ceil((int(known[0]) + 1) * 0.9)


def test_batches_do_not_matter(trained, table):
    task, _ = load_trained(best(trained))
    cells = []
    for size in (1, 7, 64):
        data = DataModule(
            trained.datamodule.dataset, **trained.datamodule._settings | {"batch_size": size}
        )
        found = task.predictions(data.for_model(data.inputs(), whole=True).loader("test"))
        cells.append(torch.tensor([[float(c) for c in row] for row in task.cells(found)]))
        assert cells[-1].shape == (len(found.rows), len(task.columns()))
    torch.testing.assert_close(cells[0], cells[1], rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(cells[0], cells[2], rtol=1e-3, atol=1e-3)


def test_a_write_that_is_interrupted_leaves_the_old_file(trained, tmp_path, monkeypatch):
    path = tmp_path / "model.ckpt"
    path.write_bytes(best(trained).read_bytes())

    def fails(checkpoint, file):
        file.write(b"half")
        raise OSError("no space left")

    monkeypatch.setattr(torch, "save", fails)
    with pytest.raises(OSError, match="cannot write the checkpoint"):
        keep(trained.task, path)
    assert path.read_bytes() == best(trained).read_bytes()
    assert [file.name for file in tmp_path.iterdir()] == ["model.ckpt"]


def test_a_checkpoint_of_before_predicts_and_can_be_calibrated(trained, tmp_path):
    path, found = tmp_path / "old.ckpt", read_checkpoint(best(trained))
    old = {key: value for key, value in found.items() if key not in (CALIBRATION, TRAINING_SET)}
    torch.save(old, path)
    task, cfg = load_trained(path)
    data = trained_data(cfg)
    before = task.predictions(data.loader("test"))
    assert before.lower is None
    assert task.columns() == ["predicted_y", "predicted_z", "uncertainty_y", "uncertainty_z"]
    (note,) = task.calibration_notes(path)
    assert f"gia.training.calibrate({str(path)!r})" in note
    (note,) = calibrate(path)
    assert "of 'z', fewer than 20" in note
    again, _ = load_trained(path)
    expected, _ = load_trained(best(trained))
    alike(again.predictions(data.loader("test")), expected.predictions(data.loader("test")))
    new = read_checkpoint(path)
    assert new.keys() == found.keys()
    for key, value in found["state_dict"].items():
        assert torch.equal(new["state_dict"][key], value)


def test_a_damaged_calibration_is_told(trained, tmp_path):
    for damage in ({"kind": "Nothing"}, {"kind": "Intervals", "scores": torch.zeros(3)}, {}):
        torch.save(read_checkpoint(best(trained)) | {CALIBRATION: damage}, tmp_path / "x.ckpt")
        with pytest.raises(ValueError, match=r"x\.ckpt has a damaged calibration"):
            load_trained(tmp_path / "x.ckpt")


def test_a_calibrated_checkpoint_can_be_resumed_from(trained, table, tmp_path):
    more = ["loss=gaussian", "trainer.max_epochs=3", f"ckpt_path={best(trained)}"]
    run = Run.from_config(config(tmp_path / "r", table, *more))
    run.fit()
    assert run.task.calibration.learned.tolist() == [True, False]


def test_predictions_with_dropout_are_not_calibrated(table, tmp_path):
    run = Run.from_config(config(tmp_path / "r", table, "model.dropout=0.1", target="y"))
    run.fit()
    assert run.task.interval_columns() == ["lower_y", "upper_y"]
    run.task.use_dropout(3)
    found = run.task.predictions(run.datamodule.loader("test"))
    assert found.lower is None
    assert run.task.columns() == ["predicted_y", "uncertainty_y"]
    assert len(run.task.cells(found)[0]) == 2
    (note,) = run.task.calibration_notes("x")
    assert note.endswith("predictions with dropout_samples are not calibrated")


@pytest.mark.parametrize(
    ("overrides", "file"),
    [(["trainer.limit_val_batches=0"], None), (["callbacks.best=null"], "last.ckpt")],
)
def test_without_a_best_checkpoint(table, tmp_path, overrides, file):
    run = Run.from_config(config(tmp_path / "r", table, *overrides, target="y"))
    run.fit()
    task, _ = load_trained(run.folder / "checkpoints" / "last.ckpt")
    assert (task.calibration is not None) == (file is not None)
    assert task.training_set is not None


def test_an_ensemble_and_its_members_are_calibrated_each(table, tmp_path):
    run = EnsembleRun.from_config(config(tmp_path / "r", table, "ensemble=2", target="y"))
    run.fit()
    files = [best(run), *(run.folder / "members" / k / "checkpoints" / "best.ckpt" for k in "01")]
    tasks = [load_trained(file)[0] for file in files]
    scores = [task.calibration.scores for task in tasks]
    assert not any(torch.equal(scores[i], scores[j]) for i, j in ((0, 1), (0, 2), (1, 2)))
    # What an ensemble says of itself is scaled, what a member says nothing of is of one width.
    found, alone = (task.predictions(run.datamodule.loader("test")) for task in tasks[:2])
    assert not torch.allclose(found.std, found.uncalibrated.std)
    widths = (found.upper - found.lower)[:, 0]
    torch.testing.assert_close(
        widths / found.std[:, 0], (widths / found.std[:, 0])[:1].expand(len(widths))
    )
    width = (alone.upper - alone.lower)[:, 0]
    torch.testing.assert_close(width, width[:1].expand(len(width)))


def test_quantiles_are_moved(table, tmp_path):
    run = Run.from_config(config(tmp_path / "r", table, "loss=quantile", target="y"))
    run.fit()
    found = run.task.predictions(run.datamodule.loader("test"))
    assert found.std is None
    own = found.output[:, 0, [0, 2]].double()
    moved = torch.cat([own[:, :1] - found.lower, found.upper - own[:, 1:]])
    torch.testing.assert_close(moved, moved[:1].expand(len(moved), 1))


def test_a_forest_without_a_checkpoint_has_intervals_too(table, tmp_path):
    own = [f"data.path={table}", "data.target_column=y", f"run_dir={tmp_path / 'r'}"]
    plain = ["callbacks.progress_bar=null", "logger.tensorboard=null", "name=test"]
    cfg = compose_config(*SETTINGS[3:], *own, *plain, "model=random_forest", "data.split=random")
    run = FittedRun.from_config(cfg)
    run.fit()
    found = run.task.predictions(run.datamodule.loader("test"))
    assert found.lower.isfinite().all()
    assert (found.lower < found.upper).all()


def test_classes_are_calibrated_and_keep_their_order(table, tmp_path):
    run = Run.from_config(config(tmp_path / "r", table, "task=classification", target="c"))
    metrics = run.fit()
    task, cfg = load_trained(best(run))
    found = task.predictions(trained_data(cfg).loader("test"))
    before = found.uncalibrated.output
    assert not torch.allclose(found.output, before.double())
    torch.testing.assert_close(found.output.sum(-1), torch.ones(len(before), 1).double())
    assert torch.equal(found.output.argmax(-1), before.argmax(-1))
    assert torch.equal(found.output[:, 0, 1].argsort(), before[:, 0, 1].argsort())
    assert not list(task.calibration_notes())
    assert metrics["test/auroc"] >= 0
