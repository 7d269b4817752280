"""Classification: which checkpoint is kept does not depend on how sure a model is of itself."""

import pytest
import torch
from runs import SMALL, compose_config
from scipy.optimize import minimize_scalar

from gia.tasks.classification import ClassificationMetrics
from gia.tasks.losses import CrossEntropy
from gia.training import Run


def measured(logits, target, split="val", **more):
    names = [f"t{t}" for t in range(target.size(1))]
    metrics = ClassificationMetrics(names, ["a", "b", "c"], CrossEntropy(), split=split)
    metrics.update(logits, target, **more)
    return metrics.compute()


@pytest.fixture
def some():
    generator = torch.Generator().manual_seed(0)
    target = torch.randint(3, (200, 2), generator=generator).float()
    logits = 4 * torch.randn(200, 2, 3, generator=generator)  # too sure
    logits.scatter_add_(2, target.long()[..., None], torch.full((200, 2, 1), 5.0))
    target[::7, 0] = torch.nan
    return logits, target


@pytest.mark.parametrize("weighted", [False, True])
def test_refinement_is_the_loss_at_the_best_temperature(some, weighted):
    logits, target = some
    more = {"weight": torch.linspace(0, 2, 200)[:, None].expand(200, 2)} if weighted else {}
    found, criterion = measured(logits, target, **more), CrossEntropy()
    best = minimize_scalar(
        lambda log: float(criterion(logits / 10**log, target, **more)),
        bounds=(-1, 1),
        method="bounded",
    )
    assert found["refinement"] == pytest.approx(best.fun, rel=2e-3)
    assert found["refinement"] < 0.8 * found["loss"]


def test_refinement_does_not_ask_how_sure_a_model_is(some):
    logits, target = some
    surer, vaguer = measured(2 * logits, target), measured(0.5 * logits, target)
    assert surer["refinement"] == pytest.approx(float(vaguer["refinement"]), rel=2e-3)
    assert surer["loss"] > 2 * vaguer["loss"]


def test_it_chooses_a_checkpoint_and_is_no_result(some):
    assert "refinement" in measured(*some, split="train_eval")
    assert "refinement" not in measured(*some, split="test")  # it is fitted to what it measures
    nothing = measured(some[0], torch.full_like(some[1], torch.nan))
    assert nothing["refinement"].isnan()


def test_a_run_keeps_the_epoch_of_the_best_refinement(tmp_path):
    # At such a rate a model is too sure of itself long before it tells the classes apart best.
    more = ["data.split=random", "optimizer.lr=2e-2", "trainer.max_epochs=8", "scheduler=constant"]
    cfg = compose_config(*SMALL, "experiment=peptide_activity", *more, f"run_dir={tmp_path}")
    cfg.trainer.limit_train_batches = 6
    run = Run.from_config(cfg)
    run.train()
    best = min(run.history.epochs, key=lambda row: row["val/refinement"])
    assert run.tested_step == best["step"]
