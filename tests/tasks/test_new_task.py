"""A task of the user's own: one class and one config, and nothing of gia is touched."""

import csv
import json
from io import StringIO

import pytest
import torch
from rich.console import Console
from runs import compose_config

from gia.data import Compounds
from gia.tasks import Prediction, PredictionMetrics
from gia.training import Run, load_trained

CONFIG = """\
# @package _global_
task:
  _target_: MODULE.QuantileRegression
  _partial_: true
  target_names: ${inputs.target_names}
  level: ${inputs.level}
  quantile: 0.9
data:
  target_type: regression
"""
SMALL = ["model.width=16", "model.heads=2", "model.depth=1", "mlp.hidden=24"]


def pinball(error, quantile):
    """How far a quantile is off: above it the quantile times the error, below it the rest."""
    return torch.maximum(quantile * error, (quantile - 1) * error)


class QuantileMetrics(PredictionMetrics):
    def __init__(self, target_names, quantile, *, split):
        super().__init__(target_names, split=split)
        self.quantile = quantile

    def loss(self, output, target):
        return pinball(target - output, self.quantile).nanmean()

    def of_target(self, number, output, target):
        return {"below": (target <= output).double().mean()}


class QuantileRegression(Prediction):
    """Says below what number a target lies, in so many of a hundred cases."""

    LOSS_NAME = "pinball loss"

    def __init__(self, model, *, quantile, **kwargs):
        names = kwargs["target_names"]
        super().__init__(
            model, metrics=lambda split: QuantileMetrics(names, quantile, split=split), **kwargs
        )
        self.quantile = quantile

    def output(self, batch):
        return 300 * (1 + super().output(batch))  # melting points, in K

    def loss(self, batch):
        return pinball(batch.y - self.output(batch), self.quantile).nanmean(), len(batch.y)

    def predict_step(self, batch, batch_idx=0, dataloader_idx=0):
        return self.output(batch)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run on a hundred melting points, and what it said."""
    folder = tmp_path_factory.mktemp("new_task")
    _, rows = Compounds("melting_point").table()
    with (folder / "molecules.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["cas", "smiles", "Tm"], *(r.values() for r in rows[::100])])
    (folder / "conf" / "task").mkdir(parents=True)
    (folder / "conf" / "task" / "quantile.yaml").write_text(CONFIG.replace("MODULE", __name__))
    cfg = compose_config(
        f"hydra.searchpath=[file://{folder}/conf]", "data=molecules", "task=quantile", *SMALL,
        f"data.path={folder}/molecules.csv", "data.smiles_column=smiles",
        "data.target_column=Tm", "trainer.max_epochs=6", "name=test",
        "optimizer.lr=1e-2", "scheduler.warmup_steps=2", "data.batch_size=16",
        "callbacks.progress_bar=null", "logger.tensorboard=null",
        f"run_dir={folder}/run",
    )  # fmt: skip
    run = Run.from_config(cfg)
    console = Console(file=StringIO(), width=120)
    run.task.report(run, run.fit(), console)
    return folder, run, console.file.getvalue()


def test_it_trains_and_reports(trained):
    folder, run, text = trained
    assert type(run.task).__name__ == "QuantileRegression"
    losses = [row["train_eval/loss"] for row in run.history.epochs]
    assert losses[-1] < losses[0]
    summary = json.loads((folder / "run" / "summary.json").read_text())
    assert 0 <= summary["test"]["below"] <= 1
    assert summary["trivial_test"] is None  # it named nobody to be compared with
    assert "GINAttention" in text
    assert "below" in text
    assert (folder / "run" / "learning_curves.png").is_file()
    with (folder / "run" / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    below = [float(row["Tm"]) <= float(row["predicted_Tm"]) for row in rows]
    assert sum(below) / len(below) == pytest.approx(summary["test"]["below"], abs=1e-5)


def test_it_predicts_a_table_and_writes_no_sequences(trained):
    folder, run, _ = trained
    data = run.datamodule.for_model(run.datamodule.inputs(), path=folder / "molecules.csv")
    done = run.task.predict_table(data, folder / "out.csv")
    assert done["predicted"] > 100
    with (folder / "out.csv").open() as file:
        assert all(row["predicted_Tm"] for row in csv.DictReader(file))
    with pytest.raises(ValueError, match="a model of QuantileRegression, which writes nothing"):
        run.task.generate()


def test_it_is_loaded_again(trained):
    folder, run, _ = trained
    best = folder / "run" / "checkpoints" / "best.ckpt"
    task, _ = load_trained(best, trust=__name__)
    assert task.quantile == 0.9
    for key, value in run.task.state_dict().items():
        assert torch.equal(value, task.state_dict()[key])
