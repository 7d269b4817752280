"""What tasks share that compare a model's output with the targets of the data."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch_geometric.data import Batch

from gia.tasks.metrics import Metrics, on_any_process
from gia.tasks.task import Task


class Supervised(Task):
    """Train on a loss, measure on three splits.

    Validation runs over two loaders, the validation split and as much of the training split, both
    in eval mode, so that ``generalisation_gap`` (validation minus training loss) compares like with
    like. The training loss logged at each step has dropout on and is no part of it.

    A step of the optimiser may be of several batches, of several processes
    (``trainer.devices``) or one after the other (``trainer.accumulate_grad_batches``): its gradient
    is then that of the mean over all their targets, however these are dealt out.

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
        self._scored: Tensor | float = 0.0  # targets so far of a step of several batches
        for split in (*self.SPLITS, "test"):
            self.add_module(f"{split}_metrics", metrics(split))

    def loss(self, batch: Batch) -> tuple[Tensor, int]:
        """The loss of a batch, and how much the batch weighs beside others."""
        raise NotImplementedError

    def measure(self, metrics: Metrics, batch: Batch) -> None:
        """Add a batch to the metrics."""
        raise NotImplementedError

    def scored(self, batch: Batch, weight: int) -> Tensor | float:
        """Over how many targets the loss of a batch is the mean.

        Args:
            batch (Batch): The batch.
            weight (int): What :meth:`loss` says of it.
        """
        return weight

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        loss, weight = self.loss(batch)
        # Lightning cannot tell how much a PyG batch holds.
        self.log("train/loss", loss, prog_bar=True, batch_size=weight)
        if self._batches_of_a_step == 1:
            return loss
        number = 0.0 if "repeated" in batch else self.scored(batch, weight)
        self._scored = self._scored + number
        return loss * number

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        if self._batches_of_a_step == 1:
            return
        dtype = torch.float32 if self.device.type == "mps" else torch.float64
        total = torch.as_tensor(self._scored, dtype=dtype, device=self.device)
        total = self.trainer.strategy.reduce(total, reduce_op="sum").clamp(min=1)
        # Lightning has divided by the number of batches, and so have its processes.
        scale = self._batches_of_a_step / total
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.grad.mul_(scale)
        self._scored = 0.0

    @property
    def _batches_of_a_step(self) -> int:
        if self._trainer is None:  # a step by hand
            return 1
        return self.trainer.world_size * self.trainer.accumulate_grad_batches

    def on_validation_epoch_start(self) -> None:
        # Running statistics differ by the last batch of each process: all measure one model.
        if self.trainer.world_size > 1:
            for buffer in self.model.buffers():
                if buffer.is_floating_point():
                    buffer.copy_(self.trainer.strategy.reduce(buffer.clone(), reduce_op="mean"))

    def validation_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        if "repeated" not in batch:
            self.measure(self._metrics(self.SPLITS[dataloader_idx]), batch)

    def on_validation_epoch_end(self) -> None:
        losses = {}
        for split in self.SPLITS:
            metrics = self._metrics(split)
            if on_any_process(metrics.update_called, self.device):
                results = metrics.compute()
                losses[split] = results["loss"]
                self._log(split, results)
        if len(losses) == 2:
            self.log("generalisation_gap", losses["val"] - losses["train_eval"])

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        if "repeated" not in batch:
            self.measure(self._metrics("test"), batch)

    def on_test_epoch_end(self) -> None:
        if on_any_process(self._metrics("test").update_called, self.device):
            self._log("test", self._metrics("test").compute())

    def _metrics(self, split: str) -> Metrics:
        return getattr(self, f"{split}_metrics")

    def _log(self, split: str, results: dict[str, Tensor]) -> None:
        for name, value in results.items():
            self.log(f"{split}/{name}", value, prog_bar=(split, name) == ("val", "loss"))
