"""Weights averaged over the steps of a training."""

from pytorch_lightning.callbacks import WeightAveraging
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
        super().__init__(multi_avg_fn=self._average)

    def _average(self, averaged: list[Tensor], current: list[Tensor], number: Tensor) -> None:
        if not averaged[0].is_floating_point():  # a mean of equal whole numbers may be rounded down
            for mean, now in zip(averaged, current, strict=True):
                mean.copy_(now)
            return
        steps = int(number)
        decay = min(self.decay, (1 + steps) / (10 + steps))
        get_ema_multi_avg_fn(decay)(averaged, current, number)
