"""A step whose loss or gradients are NaN or infinite: left out, told, and its batch kept."""

import math
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch.nn.utils import get_total_norm
from torch.optim import Optimizer
from torch_geometric.data import Batch

from gia.data.files import write_atomically

KEPT = "lost_batch.pt"  # in the run's folder
NAMED = 3  # items of a batch that are named


class FiniteSteps(Callback):
    """Lets no NaN or infinity reach the weights.

    A step with such gradients is left out, and with the first that is one too many the training
    ends: its best model is tested, and its last checkpoint is sound. The batch, on whose items the
    run may be looked at again, lies in ``lost_batch.pt``; of a step of several batches it is the
    last. Under float16 Lightning's scaler leaves such steps out itself.

    Args:
        skip (int): How many steps may be left out before the training ends.
    """

    def __init__(self, skip: int = 0):
        if skip < 0:
            raise ValueError(f"callbacks.finite.skip must be at least 0, got {skip}")
        self.skip, self.skipped = skip, 0
        self._lost, self._stepped = False, False
        self._before: list[torch.Tensor] | None = None  # the buffers when the step began

    def state_dict(self) -> dict[str, Any]:
        return {"skipped": self.skipped}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.skipped = state_dict["skipped"]

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if self._before is None:  # not again for the further batches of a step
            self._before = [buffer.clone() for buffer in _statistics(pl_module)]

    def on_before_optimizer_step(
        self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer
    ) -> None:
        self._stepped = True
        if trainer.precision == "16-mixed":
            return
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        gradients = [p.grad for p in parameters if p.grad is not None]
        # In half precision the norm of sound gradients may be beyond what can be written.
        gradients = [g.float() if g.dtype == torch.float16 else g for g in gradients]
        # Several processes have the same gradients by now.
        if get_total_norm(gradients).isfinite():
            return
        self._lost = True
        for parameter in parameters:
            parameter.grad = None  # which the optimiser passes by
        # What batch norm has seen is no better; averages of the weights would take it over.
        for buffer, before in zip(_statistics(pl_module), self._before or (), strict=True):
            buffer.copy_(before)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self._stepped:
            self._stepped, self._before = False, None
        if not self._lost:
            return
        self._lost, self.skipped = False, self.skipped + 1
        ends = self.skipped > self.skip
        trainer.should_stop = trainer.should_stop or ends
        if trainer.is_global_zero:
            self._tell(trainer, batch, math.isfinite(outputs["loss"]), ends)

    def _tell(self, trainer: Trainer, batch: Batch, finite: bool, ends: bool) -> None:
        path = Path(trainer.default_root_dir) / KEPT
        with write_atomically(path, "wb") as file:
            torch.save(batch.to("cpu").to_dict(), file)
        names, rows = list(batch.get("name", ())), batch.get("row", torch.empty(0)).tolist()
        items = [f"{name} (row {row})" for name, row in zip(names, rows, strict=False)]
        more = f" and {len(items) - NAMED:,} more" if len(items) > NAMED else ""
        then = "training ends here" if ends else "it is left out"
        way = (
            "give a lower optimizer.lr or trainer.gradient_clip_val, look for extreme numbers in "
            "these items, or let callbacks.finite.skip=10 such steps be left out"
        )
        named = ", ".join(items[:NAMED])
        mine = "its batch" if trainer.world_size == 1 else "the first process's batch of it"
        warnings.warn(
            f"the gradients of step {trainer.global_step} are not finite, its loss "
            f"{'is' if finite else 'is not, either'}: {then}; {mine} is in {path}: "
            f"{named}{more}{f'; {way}' if ends else ''}",
            stacklevel=1,
        )


def _statistics(pl_module: LightningModule) -> Iterator[torch.Tensor]:
    """The buffers that a forward pass may change, such as those of batch norm."""
    return (buffer for buffer in pl_module.model.buffers() if buffer.is_floating_point())
