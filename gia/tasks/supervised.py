"""What tasks share that compare a model's output with the targets of the data."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torch_geometric.data import Batch

from gia.tasks.metrics import Metrics
from gia.tasks.task import Task


class Supervised(Task):
    """Train on a loss, measure on three splits.

    Validation runs over two loaders, the validation split and as much of the training split, both
    in eval mode, so that ``generalisation_gap`` (validation minus training loss) compares like with
    like. The training loss logged at each step has dropout on and is no part of it.

    A new task gives :meth:`loss`, :meth:`measure` and the metrics.

    Args:
        model, optimizer, scheduler, settings: As in :class:`~gia.tasks.Task`.
        metrics (callable): ``metrics(split)``, the metrics of one of ``val``, ``train_eval`` and
            ``test``.
    """

    # The validation loaders in their order; the test loader is apart.
    SPLITS = ("val", "train_eval")

    def __init__(self, model: nn.Module, *, metrics: Callable[[str], Metrics], **kwargs: Any):
        super().__init__(model, **kwargs)
        self.make_metrics = metrics
        for split in (*self.SPLITS, "test"):
            self.add_module(f"{split}_metrics", metrics(split))

    def loss(self, batch: Batch) -> tuple[Tensor, int]:
        """The loss of a batch, and how much the batch weighs beside others."""
        raise NotImplementedError

    def measure(self, metrics: Metrics, batch: Batch) -> None:
        """Add a batch to the metrics."""
        raise NotImplementedError

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        loss, weight = self.loss(batch)
        # Lightning cannot tell how much a PyG batch holds.
        self.log("train/loss", loss, prog_bar=True, batch_size=weight)
        return loss

    def validation_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        self.measure(self._metrics(self.SPLITS[dataloader_idx]), batch)

    def on_validation_epoch_end(self) -> None:
        losses = {}
        for split in self.SPLITS:
            metrics = self._metrics(split)
            if metrics.update_called:
                results = metrics.compute()
                losses[split] = results["loss"]
                self._log(split, results)
        if len(losses) == 2:
            self.log("generalisation_gap", losses["val"] - losses["train_eval"])

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        self.measure(self._metrics("test"), batch)

    def on_test_epoch_end(self) -> None:
        if self._metrics("test").update_called:
            self._log("test", self._metrics("test").compute())

    def _metrics(self, split: str) -> Metrics:
        return getattr(self, f"{split}_metrics")

    def _log(self, split: str, results: dict[str, Tensor]) -> None:
        for name, value in results.items():
            self.log(f"{split}/{name}", value, prog_bar=(split, name) == ("val", "loss"))
