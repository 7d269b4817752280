"""Regression: numbers of whole graphs or of their nodes."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from torch import Tensor, nn
from torch_geometric.data import Batch
from torchmetrics.functional import mean_absolute_error, mean_squared_error, r2_score

from gia.analysis.figures import save
from gia.analysis.prediction_figures import parity_plot, residual_histogram
from gia.analysis.predictions import Predictions
from gia.tasks.losses import masked_mse
from gia.tasks.metrics import PredictionMetrics
from gia.tasks.prediction import Prediction
from gia.tasks.scaler import TargetScaler


class RegressionMetrics(PredictionMetrics):
    r"""RMSE, MAE and R2 in physical units, and the normalised RMSE.

    Shapes:
        - **output, target:** normalised, ``[R, T]`` for R graphs or nodes; NaN where missing
        - **std:** physical units in a normalised one, ``[T]``
    """

    def update(self, output: Tensor, target: Tensor, std: Tensor) -> None:
        super().update(output, target)
        self.std = std

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        return masked_mse(output, target)

    def of_target(self, number: int, output: Tensor, target: Tensor) -> dict[str, Tensor | float]:
        if not len(target):
            return dict.fromkeys(("rmse", "mae", "r2", "rmse_normalised"), math.nan)
        rmse, std = mean_squared_error(output, target, squared=False), float(self.std[number])
        return {
            "rmse": rmse * std,
            "mae": mean_absolute_error(output, target) * std,
            "r2": r2_score(output, target) if len(target) > 1 else math.nan,  # has no unit
            "rmse_normalised": rmse,
        }


class Regression(Prediction):
    r"""Numbers: the mean squared error over the known targets, normalised.

    A model learns :math:`z = (y - \mu) / \sigma`; metrics and predictions are in the units of y.

    Args:
        model, optimizer, scheduler, settings: As in :class:`~gia.tasks.Task`.
        target_names (list of str): The targets, ``[T]``.
        target_mean (list of float): :math:`\mu` of each, of the training split.
        target_std (list of float): :math:`\sigma` of each.
        level (str): What has targets, ``"graph"`` or ``"node"``.

    Shapes:
        - **model(batch):** ``[R, T]`` for R graphs or nodes
        - **batch.y:** ``[R, T]``; NaN where missing
    """

    LOSS_NAME = "loss (mean squared error, normalised)"
    TRIVIAL_NAME = "mean of training"

    def __init__(
        self,
        model: nn.Module,
        *,
        target_names: Sequence[str],
        target_mean: Sequence[float],
        target_std: Sequence[float],
        level: Literal["graph", "node"] = "graph",
        **kwargs: Any,
    ):
        super().__init__(
            model,
            target_names=target_names,
            level=level,
            metrics=lambda split: RegressionMetrics(target_names, split=split),
            **kwargs,
        )
        self.scaler = TargetScaler(target_mean, target_std)
        if len(self.scaler.mean) != len(target_names):
            raise ValueError(
                f"there are {len(target_names)} targets, but {len(self.scaler.mean)} target means"
            )

    def loss(self, batch: Batch) -> tuple[Tensor, int]:
        return masked_mse(self.output(batch), self.scaler(batch.y)), len(batch.y)

    def compare(self, metrics: RegressionMetrics, output: Tensor, target: Tensor) -> None:
        metrics.update(output, self.scaler(target), self.scaler.std)

    def predict_step(self, batch: Batch, batch_idx: int = 0, dataloader_idx: int = 0) -> Tensor:
        """The targets in their own units, ``[R, T]``."""
        return self.scaler.inverse(self.output(batch))

    def trivial_output(self, seen: Tensor) -> Tensor:
        """The mean of training, normalised."""
        return self.scaler(seen).nanmean(0).nan_to_num()

    def picture(self, predictions: Predictions, folder: Path) -> list[Path]:
        """Draw the predictions over the targets, and their errors."""
        shown = predictions.target, predictions.output, self.target_names
        return [
            *save(parity_plot(*shown), folder / "parity"),
            *save(residual_histogram(*shown), folder / "residuals"),
        ]
