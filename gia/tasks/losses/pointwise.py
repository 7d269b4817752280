"""Losses of one number for each target."""

from typing import ClassVar

from torch import Tensor
from torch.nn import functional as F

from gia.tasks.losses.base import NumberLoss


class MSE(NumberLoss):
    r"""Squared error :math:`(o - z)^2`, whose best prediction is the mean."""

    name = "mean squared error, normalised"

    def terms(self, output: Tensor, target: Tensor) -> Tensor:
        return (output - target).square().squeeze(-1)


class MAE(NumberLoss):
    r"""Absolute error :math:`|o - z|`, whose best prediction is the median: outliers weigh less."""

    name = "mean absolute error, normalised"
    objective: ClassVar = {"objective": "regression_l1"}
    constant_name = "median of training"

    def terms(self, output: Tensor, target: Tensor) -> Tensor:
        return (output - target).abs().squeeze(-1)

    def constant(self, target: Tensor) -> Tensor:
        return target.nanmedian(0).values.nan_to_num()[:, None]


class Huber(NumberLoss):
    r"""Squared up to an error of :math:`\delta`, absolute beyond (`Huber, 1964
    <https://doi.org/10.1214/aoms/1177703732>`_): :math:`\tfrac{1}{2} e^2` for
    :math:`|e| \le \delta`, else :math:`\delta (|e| - \tfrac{1}{2} \delta)`.

    Args:
        delta (float): :math:`\delta`, in standard deviations of the training targets.

    Raises:
        ValueError: If it is not above 0.
    """

    def __init__(self, delta: float = 1.0):
        super().__init__()
        if not delta > 0:
            raise ValueError(f"loss.delta must be above 0, got {delta}")
        self.delta = delta
        self.objective = {"objective": "huber", "alpha": delta}
        self.name = f"Huber loss, delta {delta:g}, normalised"

    def terms(self, output: Tensor, target: Tensor) -> Tensor:
        errors = F.huber_loss(output, target.expand_as(output), reduction="none", delta=self.delta)
        return errors.squeeze(-1)
