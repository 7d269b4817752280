"""Regression: numbers of whole graphs or of their nodes."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import compress
from pathlib import Path
from typing import Any, Literal

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch_geometric.data import Batch, Data
from torchmetrics.functional import mean_absolute_error, mean_squared_error, r2_score

from gia.analysis.figures import save
from gia.analysis.prediction_figures import parity_plot, residual_histogram
from gia.analysis.predictions import Predictions
from gia.analysis.reliability_figures import AFTER, BEFORE, coverage_plot, error_over_uncertainty
from gia.analysis.track_figures import Track, number_tracks
from gia.nn import Several
from gia.tasks.calibrated import listed
from gia.tasks.calibration import Intervals, needed
from gia.tasks.losses import MSE, NumberLoss
from gia.tasks.metrics import PredictionMetrics
from gia.tasks.prediction import Prediction
from gia.tasks.reliability import LEVELS, Interval, coverages, named, normal, of_numbers
from gia.tasks.scaler import TargetScaler
from gia.typing import OptTensor


class RegressionMetrics(PredictionMetrics):
    r"""RMSE, MAE and R2 of the prediction in physical units, and the normalised RMSE.

    Args:
        criterion (NumberLoss): The loss, which says what of the output is predicted.

    Shapes:
        - **output:** normalised, ``[R, T, K]`` for R graphs or nodes and K numbers of each target
        - **target:** normalised, ``[R, T]``; NaN where missing
        - **std:** physical units in a normalised one, ``[T]``
    """

    def __init__(self, target_names: Sequence[str], criterion: NumberLoss, *, split: str):
        super().__init__(target_names, split=split)
        self.criterion = criterion

    def update(self, output: Tensor, target: Tensor, std: Tensor, **more: Tensor | None) -> None:
        super().update(output, target, **more)
        self.std = std

    def loss(self, output: Tensor, target: Tensor, **more: Tensor) -> Tensor:
        return self.criterion(output, target, **more)

    def of_target(self, number: int, output: Tensor, target: Tensor) -> dict[str, Tensor | float]:
        if not len(target):
            return dict.fromkeys(("rmse", "mae", "r2", "rmse_normalised"), math.nan)
        output = self.criterion.predicted(output)
        rmse, std = mean_squared_error(output, target, squared=False), float(self.std[number])
        return {
            "rmse": rmse * std,
            "mae": mean_absolute_error(output, target) * std,
            "r2": r2_score(output, target) if len(target) > 1 else math.nan,  # has no unit
            "rmse_normalised": rmse,
        }


class Regression(Prediction):
    r"""Numbers: a loss over the known targets, normalised.

    A model learns :math:`z = (y - \mu) / \sigma`; metrics and predictions are in the units of y.

    Args:
        model, optimizer, scheduler, settings: As in :class:`~gia.tasks.Task`.
        target_names (list of str): The targets, ``[T]``.
        units (list of str, optional): Of each, None where it has none; for figures and tables.
        target_mean (list of float): :math:`\mu` of each, of the training split.
        target_std (list of float): :math:`\sigma` of each.
        loss (NumberLoss, optional): What is minimised; left out, squared errors.
        target_range (list of pairs, optional): The least and the largest of each target in the
            training split, as far as they are bounds of what can be.
        extrapolation (float, optional): How far predictions may lie beyond that, as a share of the
            range: a network says anything of what is unlike all that it has seen, and squared
            errors do not forgive it. None: anywhere. The training itself is not held back.
        level (str): What has targets, ``"graph"`` or ``"node"``.

    Shapes:
        - **model(batch):** ``[R, T * K]`` for R graphs or nodes and the K numbers that the loss
          takes for each target
        - **batch.y:** ``[R, T]``; NaN where missing
        - **batch.y_bounds:** ``[R, T, 2]``, lower and upper bound of targets that are known by
          these alone, infinite elsewhere; optional. They enter the loss, not the metrics

    Raises:
        ValueError: If the loss is none of numbers, means or ranges and targets differ in number, or
            the extrapolation is negative.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        target_names: Sequence[str],
        target_mean: Sequence[float],
        target_std: Sequence[float],
        loss: NumberLoss | None = None,
        target_range: Sequence[Sequence[float]] | None = None,
        extrapolation: float | None = 0.1,
        units: Sequence[str | None] | None = None,
        level: Literal["graph", "node"] = "graph",
        **kwargs: Any,
    ):
        criterion = MSE() if loss is None else loss
        if not isinstance(criterion, NumberLoss):
            raise ValueError(
                f"{type(criterion).__name__} is no loss of numbers: use loss=mse, mae, huber, "
                "quantile or gaussian, or task=classification"
            )
        super().__init__(
            model,
            target_names=target_names,
            level=level,
            metrics=lambda split: RegressionMetrics(target_names, criterion, split=split),
            **kwargs,
        )
        self.criterion = criterion
        self.LOSS_NAME, self.TRIVIAL_NAME = f"loss ({criterion.name})", criterion.constant_name
        self.scaler = TargetScaler(target_mean, target_std)
        if len(self.scaler.mean) != len(target_names):
            raise ValueError(
                f"there are {len(target_names)} targets, but {len(self.scaler.mean)} target means"
            )
        self.units = [None] * len(target_names) if units is None else list(units)
        if len(self.units) != len(target_names):
            raise ValueError(f"there are {len(target_names)} targets, but {len(self.units)} units")
        limits = self.scaler.limits(target_range, extrapolation)
        self.register_buffer("limits", limits, persistent=False)

    @property
    def output_shape(self) -> tuple[int, ...]:
        return (len(self.target_names), self.criterion.channels)

    def shaped(self, output: Tensor) -> Tensor:
        return self.criterion.activate(super().shaped(output))

    def loss_of(self, output: Tensor, data: Data) -> Tensor:
        return self.criterion(output, self.scaler(data.y), **self.besides(data))

    def answers(self, batch: Batch) -> Tensor:
        return self.within(self.outputs(batch))

    def within(self, output: Tensor) -> Tensor:
        """What is predicted of an output ``[..., T, K]``, see ``extrapolation``: a loss that trains
        sees the output itself, and what is no number stays none."""
        if self.training or self.limits is None:
            return output
        held = self.criterion.within(output, *self.limits)
        return torch.where(output.isfinite(), held, output)

    def predict_freely(self, batch: Batch) -> Tensor:
        return self.in_units(self.combined(self.outputs(batch)))

    def compare(self, metrics: RegressionMetrics, output: Tensor, data: Data) -> None:
        metrics.update(output, self.scaler(data.y), self.scaler.std, **self.besides(data))

    def besides(self, data: Data) -> dict[str, Tensor | None]:
        """What the loss takes besides outputs and targets, normalised."""
        bounds = data.get("y_bounds")
        if bounds is not None:
            bounds = self.scaler(bounds.movedim(-1, 0)).movedim(0, -1)
        return {"weight": self.weight(data), "bounds": bounds}

    def predict_step(self, batch: Batch, batch_idx: int = 0, dataloader_idx: int = 0) -> Tensor:
        """The targets in their own units, ``[R, T]``; all numbers of each, ``[R, T, K]``, where
        the loss takes several."""
        return self.in_units(self.output(batch))

    def in_units(self, output: Tensor) -> Tensor:
        """What :meth:`predict_step` gives, of a normalised output ``[R, T, K]``."""
        output = self.criterion.inverse(output, self.scaler)
        return output if output.size(-1) > 1 else output.squeeze(-1)

    def combine(self, outputs: Tensor) -> Tensor:
        return self.criterion.combine(outputs)

    @property
    def uncertain(self) -> bool:
        return self.criterion.gives_std or (
            isinstance(self.model, Several) and self.model.number > 1
        )

    def predict_with_uncertainty(self, batch: Batch) -> tuple[Tensor, Tensor | None]:
        outputs = self.outputs(batch)
        # A member's own, and how far members differ, wherever they are.
        std = self.criterion.std(self.combined(outputs))
        if std is None and len(outputs) > 1:
            std = self.criterion.predicted(outputs).std(0, correction=0)
        together = self.combined(self.within(outputs))
        return self.in_units(together), None if std is None else std * self.scaler.std

    CALIBRATED = "intervals (lower_, upper_)"
    calibration: Intervals | None

    def learn_calibration(self, found: Predictions) -> Intervals:
        return Intervals.fit(found.target, *self._said(found))

    def calibrated(self, found: Predictions) -> Predictions:
        """With standard deviations that fit the errors, and intervals."""
        lower, upper = self.calibration(*self._said(found), confidence=self.confidence)
        std = found.std
        if std is not None:
            std = self.calibration.std(std, self.predicted(found.output)).to(std)
        return replace(found, std=std, lower=lower, upper=upper, uncalibrated=found)

    def interval_columns(self) -> list[str]:
        if self.calibration is None:
            return []
        names = list(compress(self.target_names, self.calibration.learned.tolist()))
        return [f"{end}_{name}" for end in ("lower", "upper") for name in names]

    def calibration_notes(self, path: Any = None) -> Iterator[str]:
        yield from super().calibration_notes(path)
        if self.calibration is None:
            return
        takes = needed(self.confidence)
        known = self.calibration.known.tolist(), self.calibration.learned.tolist()
        each = zip(self.target_names, *known, strict=True)
        few = [f"{n:,} of {name!r}" for name, n, learned in each if learned and n < takes]
        if few:
            yield (
                f"lower_ and upper_ are empty: confidence={self.confidence:g} takes {takes:,} "
                f"known targets of the validation part, which has {listed(few)}"
            )

    def reliability(self, found: Predictions) -> dict[str, dict[str, float]]:
        mean, std, _ = self._said(found)
        if std is None:
            std = self.calibration.std(None, mean.double())
        found_of = {}
        for name, interval in self._intervals(found).items():
            spread = found.uncalibrated.std if name == BEFORE else std
            metrics = of_numbers(found.target, mean, spread, interval, self.confidence)
            found_of[name] = named(metrics, self.target_names, self.calibration.learned)
        return found_of

    def _intervals(self, found: Predictions) -> dict[str, Interval]:
        """Before they are calibrated, where the model says how uncertain it is, and after."""
        mean, std, quantiles = self._said(found.uncalibrated)
        before = {} if std is None else {BEFORE: normal(mean, std)}

        def calibrated(confidence: float) -> tuple[Tensor, Tensor]:
            return self.calibration(mean, std, quantiles, confidence=confidence)

        return before | {AFTER: calibrated}

    def _said(self, found: Predictions) -> tuple[Tensor, OptTensor, tuple[Tensor, Tensor] | None]:
        """Prediction, standard deviation and the model's own interval, ``[R, T]`` each."""
        own = None if self.criterion.channels == 1 else self.criterion.interval(found.output)
        return self.predicted(found.output), found.std, own

    def predicted(self, output: Tensor) -> Tensor:
        """The predictions ``[..., T]`` in what :meth:`predict_step` gives."""
        return self.criterion.predicted(output) if self.criterion.channels > 1 else output

    def trivial_output(self, seen: Tensor) -> Tensor:
        """What is best for all graphs alike, such as the mean of training, normalised."""
        return self.criterion.constant(self.scaler(seen))

    def output_cells(self, output: Tensor) -> list[str]:
        return super().output_cells(self.predicted(output))

    def picture(self, predictions: Predictions, folder: Path) -> list[Path]:
        """Draw the predictions over the targets, and their errors."""
        shown = predictions.target, self.predicted(predictions.output), self.target_names
        return [
            *save(parity_plot(*shown, self.units), folder / "parity"),
            *save(residual_histogram(*shown, self.units), folder / "residuals"),
            *self._picture_reliability(predictions, folder),
        ]

    @property
    def metric_units(self) -> dict[str, str]:
        unit, *others = set(self.units)
        return {} if unit is None or others else dict.fromkeys(("rmse", "mae", "width"), unit)

    def tracks(self, chains: Sequence[Track], target: int, title: str) -> Figure:
        name, unit = self.target_names[target], self.units[target]
        return number_tracks(chains, name, unit, title, confidence=self.confidence)

    def _picture_reliability(self, found: Predictions, folder: Path) -> list[Path]:
        """Draw how many targets lie in their intervals, and the errors over the uncertainties."""
        if self.calibration is None or not self.calibration.learned.any():
            return []
        learned = self.calibration.learned
        names, units = (
            list(compress(of, learned.tolist())) for of in (self.target_names, self.units)
        )
        shares = {
            name: coverages(found.target, interval)[:, learned]
            for name, interval in self._intervals(found).items()
        }
        pictures = save(coverage_plot(LEVELS, shares, names), folder / "calibration")
        if found.std is None:
            return pictures
        shown = found.target, self.predicted(found.output), found.std
        drawn = error_over_uncertainty(*(values[:, learned] for values in shown), names, units)
        return [*pictures, *save(drawn, folder / "error_over_uncertainty")]
