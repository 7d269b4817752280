"""Averaged weights: what is validated, kept and resumed."""

import pytest
import pytorch_lightning as pl
import torch
from runs import SMALL, compose_config
from torch import nn
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader

from gia.training import AverageWeights, run_of


class Counted(nn.Module):
    """A weight, and whole numbers that a mean in floating point rounds down."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(3))
        self.register_buffer("offset", torch.arange(400), persistent=False)
        self.register_buffer("statistic", torch.zeros(2))


def test_the_average_is_the_sum_of_all_steps_by_their_weights():
    torch.manual_seed(0)
    model, callback = Counted(), AverageWeights(decay=0.9)
    averaged = AveragedModel(model, use_buffers=True, **callback._kwargs)
    expected = None
    for step in range(200):
        with torch.no_grad():
            model.weight.normal_()
            model.statistic.normal_()
        averaged.update_parameters(model)
        now = torch.cat([model.weight.detach(), model.statistic])
        decay = min(0.9, (1 + step) / (10 + step))
        expected = now.clone() if step == 0 else decay * expected + (1 - decay) * now
    found = torch.cat([averaged.module.weight.detach(), averaged.module.statistic])
    torch.testing.assert_close(found, expected)
    assert torch.equal(averaged.module.offset, torch.arange(400))


class Masked(pl.LightningModule):
    """One weight and a mask with infinities, which stay."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(2))
        self.register_buffer("mask", torch.tensor([0.1, -torch.inf, torch.inf]))

    def training_step(self, batch, _):
        return (self.weight - batch).square().sum()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def test_infinities_are_their_own_average(tmp_path):
    model, callback = Masked(), AverageWeights()
    trainer = pl.Trainer(
        max_epochs=1, callbacks=[callback], logger=False, accelerator="cpu",
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
        default_root_dir=tmp_path,
    )  # fmt: skip
    trainer.fit(model, DataLoader(torch.ones(8, 2)))
    assert model.mask.tolist() == torch.tensor([0.1, -torch.inf, torch.inf]).tolist()
    assert 0 < model.weight[0] < 1


@pytest.mark.parametrize("decay", [-0.1, 1.0])
def test_a_decay_that_is_none_is_named(decay):
    with pytest.raises(ValueError, match=f"at least 0 and below 1, got {decay}"):
        AverageWeights(decay)


def test_after_the_training_the_tested_weights_are_validated(tmp_path):
    """The best ones, and not the average that the last step has left."""
    pytest.importorskip("rdkit")
    numbers = torch.randn(60, generator=torch.Generator().manual_seed(0)).tolist()
    rows = [f"{'C' * (i % 12 + 1)}{'ON'[i % 2]},{y}" for i, y in enumerate(numbers)]
    (tmp_path / "noise.csv").write_text("\n".join(["smiles,y", *rows]))
    columns = ["data.smiles_column=smiles", "data.target_column=y", "data.features=null"]
    settings = [*SMALL, "data=molecules", f"data.path={tmp_path}/noise.csv", *columns]
    run = run_of(compose_config(*settings, "trainer.max_epochs=8", f"run_dir={tmp_path}/run"))
    run.fit()
    losses = [row["val/loss"] for row in run.history.epochs]
    assert min(losses) < losses[-1] - 1e-3
    validation, *_ = run.trainer.validate(run.task, run.datamodule, verbose=False)
    assert validation["val/loss"] == pytest.approx(min(losses), rel=1e-4)
