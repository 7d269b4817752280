"""Prediction: properties of whole graphs or of their nodes, numbers or classes."""

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch_geometric.data import Batch

from gia.tasks.language_metrics import Metrics
from gia.tasks.losses import masked_cross_entropy, masked_mse
from gia.tasks.prediction_metrics import ClassificationMetrics, RegressionMetrics
from gia.tasks.scaler import TargetScaler
from gia.tasks.supervised import Supervised


class Prediction(Supervised):
    """What :class:`Regression` and :class:`Classification` share.

    Args:
        model, optimizer, scheduler, settings: As in :class:`~gia.tasks.Task`.
        target_names (list of str): The targets, ``[T]``.
        level (str): What has targets, ``"graph"`` or ``"node"``.
        metrics (callable): As in :class:`~gia.tasks.Supervised`.

    Shapes:
        - **batch.y:** ``[R, T]`` for R graphs or nodes; NaN where missing

    Raises:
        ValueError: If there is no target or no such level.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        target_names: Sequence[str],
        level: Literal["graph", "node"] = "graph",
        metrics: Callable[[str], Metrics],
        **kwargs: Any,
    ):
        if not target_names:
            raise ValueError("there is no target to predict: target_names is empty")
        if level not in ("graph", "node"):
            raise ValueError(f"level must be graph or node, got {level!r}")
        super().__init__(model, metrics=metrics, **kwargs)
        self.target_names, self.level = list(target_names), level

    def output(self, batch: Batch) -> Tensor:
        """The model's output in float32 at least, ``[R, T, ...]``."""
        output = self.model(batch)
        channels = math.prod(self.output_shape)
        if output.dim() != 2 or output.size(1) != channels:
            raise ValueError(
                f"the model must give [.., {channels}], {list(self.output_shape)} for each "
                f"{self.level}, but gave {list(output.shape)}: is its out_channels right?"
            )
        output = output.reshape(-1, *self.output_shape)
        return output.to(torch.promote_types(output.dtype, torch.float32))

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Shape of what the model says of one graph or node."""
        return (len(self.target_names),)

    def measure(self, metrics: Metrics, batch: Batch) -> None:
        self.compare(metrics, self.output(batch), batch.y)

    def compare(self, metrics: Metrics, output: Tensor, target: Tensor) -> None:
        """Add outputs and their targets in physical units, ``[R, T]``, to the metrics."""
        metrics.update(output, target)


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


class Classification(Prediction):
    """Classes: cross entropy over the known targets.

    Args:
        model, optimizer, scheduler, settings: As in :class:`~gia.tasks.Task`.
        target_names (list of str): The targets, ``[T]``.
        class_names (list of str): The classes, ``[C]``, the same ones for every target.
        level (str): What has targets, ``"graph"`` or ``"node"``.

    Shapes:
        - **model(batch):** logits, ``[R, T * C]`` for R graphs or nodes, those of a target together
        - **batch.y:** index of the class as a float, ``[R, T]``; NaN where missing

    Raises:
        ValueError: If there are fewer than two classes.
    """

    LOSS_NAME = "loss (cross entropy, nats)"

    def __init__(
        self,
        model: nn.Module,
        *,
        target_names: Sequence[str],
        class_names: Sequence[str],
        level: Literal["graph", "node"] = "graph",
        **kwargs: Any,
    ):
        if len(class_names) < 2:
            raise ValueError(
                f"a classification needs at least 2 classes, got {list(class_names)}: "
                "a target of numbers needs data.target_type=regression"
            )
        super().__init__(
            model,
            target_names=target_names,
            level=level,
            metrics=lambda split: ClassificationMetrics(target_names, class_names, split=split),
            **kwargs,
        )
        self.class_names = list(class_names)

    @property
    def output_shape(self) -> tuple[int, ...]:
        return (len(self.target_names), len(self.class_names))

    def loss(self, batch: Batch) -> tuple[Tensor, int]:
        return masked_cross_entropy(self.output(batch), batch.y), len(batch.y)

    def predict_step(self, batch: Batch, batch_idx: int = 0, dataloader_idx: int = 0) -> Tensor:
        """Probabilities of the classes, ``[R, T, C]``."""
        return self.output(batch).softmax(-1)
