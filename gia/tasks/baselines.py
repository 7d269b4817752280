"""What a language model is measured beside: counting, or the pretrained model that it was."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

import torch
from torch import nn
from torch_geometric.data import Batch

from gia.analysis.ngrams import ngram_losses
from gia.tasks.metrics import Metrics
from gia.tasks.report import FinishedRun


@dataclass(frozen=True)
class Baselines:
    """Losses of others on the symbols that a language model is scored on, in nats.

    Attributes:
        name (str): What a curve of the best of them is called.
        val, test (dict): A loss for each.
    """

    name: str
    val: dict[str, float]
    test: dict[str, float]

    @property
    def best(self) -> float | None:
        """The lowest loss in validation."""
        return min(self.val.values(), default=None)


def ngram_baselines(run: FinishedRun) -> Baselines:
    """Interpolated n-grams of the training part."""
    losses = ngram_losses(run.datamodule)
    named = {
        part: {f"{order}-gram, interpolated": loss for order, loss in enumerate(found, start=1)}
        for part, found in losses.items()
    }
    return Baselines("best n-gram", named["val"], named["test"])


def base_baseline(run: FinishedRun, metrics: Metrics) -> Baselines:
    """The pretrained model without what was trained of it; none where nothing was.

    Args:
        run (FinishedRun): Of a :class:`~gia.adapters.PretrainedLM`.
        metrics (Metrics): What measures a language model.
    """
    task, trainer = run.task, run.trainer
    if task.model.tuning is None:
        return Baselines("the base", {}, {})
    batches = {"val": trainer.num_val_batches[:1], "test": trainer.num_test_batches[:1]}
    losses = {}
    metrics = metrics.to(task.device)
    with task.model.as_pretrained() as base, trainer.precision_plugin.forward_context():
        for part, number in batches.items():
            loader = islice(run.datamodule.loader(part), int(*number) if number else 0)
            losses[part] = _measured(base, loader, metrics, task.device)
    named = {part: {} if loss is None else {"the base": loss} for part, loss in losses.items()}
    return Baselines("the base", named["val"], named["test"])


@torch.no_grad()
def _measured(
    model: nn.Module, batches: Iterable[Batch], metrics: Metrics, device: torch.device
) -> float | None:
    was_training = model.training
    model.eval()
    for batch in batches:
        batch = batch.to(device)
        metrics.measure(model, batch)
    model.train(was_training)
    return float(metrics.compute()["loss"]) if metrics.update_called else None
