"""Weights averaged over the steps of a training."""

import pytorch_lightning as pl
from pytorch_lightning.callbacks import WeightAveraging
from pytorch_lightning.plugins.precision import DoublePrecision
from pytorch_lightning.trainer.states import TrainerFn
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn


class AverageWeights(WeightAveraging):
    r"""An exponential moving average of the weights, which is what is validated and kept.

    :math:`\bar\theta \leftarrow \beta_t \bar\theta + (1 - \beta_t) \theta` after step t, with
    :math:`\beta_t = \min(\beta, (1 + t) / (10 + t))`, so that a short run is not held back by where
    it began: Lightning's callback, all tensors at once. A checkpoint's ``state_dict`` holds the
    average, and beside it what a resumed run goes on with.

    Args:
        decay (float): :math:`\beta`; the average looks back over about
            :math:`1 / (1 - \beta)` steps.

    Raises:
        ValueError: If the decay is not from 0 up to, but not, 1.
    """

    def __init__(self, decay: float = 0.99):
        if not 0 <= decay < 1:
            raise ValueError(f"decay must be at least 0 and below 1, got {decay}")
        self.decay = decay
        self._endless = False  # whether a buffer, such as a mask, holds infinities
        super().__init__(multi_avg_fn=self._average)

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Make the average, in double precision if the model is going to be."""
        super().setup(trainer, pl_module, stage)
        if stage == "fit":
            if isinstance(trainer.precision_plugin, DoublePrecision):
                self._average_model.double()
            self._endless = not all(buffer.isfinite().all() for buffer in pl_module.buffers())

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Validate the average, but after the training what the model then is."""
        if trainer.state.fn == TrainerFn.FITTING:
            super().on_validation_epoch_start(trainer, pl_module)

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Go on with the weights that are trained."""
        if trainer.state.fn == TrainerFn.FITTING:
            super().on_validation_epoch_end(trainer, pl_module)

    def _average(self, averaged: list[Tensor], current: list[Tensor], number: Tensor) -> None:
        if not averaged[0].is_floating_point():  # a mean of equal whole numbers may be rounded down
            for mean, now in zip(averaged, current, strict=True):
                mean.copy_(now)
            return
        steps = int(number)
        decay = min(self.decay, (1 + steps) / (10 + steps))
        # A model in half precision has its average in float32, where small steps are not lost.
        current = [now.to(mean.dtype) for mean, now in zip(averaged, current, strict=True)]
        get_ema_multi_avg_fn(decay)(averaged, current, number)
        if self._endless:  # whose mean with themselves would be no number
            for mean, now in zip(averaged, current, strict=True):
                mean.copy_(mean.where(now.isfinite(), now))
