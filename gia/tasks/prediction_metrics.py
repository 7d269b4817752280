"""How good predictions of graphs or nodes are, target by target, missing ones left out."""

import math
import warnings
from collections.abc import Sequence

import torch
from torch import Tensor
from torchmetrics import CatMetric
from torchmetrics.functional import (
    mean_absolute_error,
    mean_squared_error,
    r2_score,
)
from torchmetrics.functional.classification import (
    binary_auroc,
    multiclass_accuracy,
    multiclass_auroc,
    multiclass_matthews_corrcoef,
)

from gia.tasks.language_metrics import Metrics
from gia.tasks.losses import masked_cross_entropy, masked_mse

LISTED = 5  # absent classes named in a warning


class PredictionMetrics(Metrics):
    """Keeps all predictions of a split, since AUROC and R2 are no means over batches.

    With several targets each metric is the mean over those that have it, and there is one more for
    each target, ``METRIC/TARGET``.

    Args:
        target_names (list of str): The targets, ``[T]``.
        split (str): What is measured, for messages.
    """

    def __init__(self, target_names: Sequence[str], *, split: str):
        super().__init__()
        self.target_names, self.split = list(target_names), split
        self.outputs = CatMetric(nan_strategy="disable")  # missing targets are NaN
        self.targets = CatMetric(nan_strategy="disable")

    @property
    def update_called(self) -> bool:
        return self.targets.update_called

    def update(self, output: Tensor, target: Tensor) -> None:
        self.outputs.update(output.detach())
        self.targets.update(target)

    def compute(self) -> dict[str, Tensor]:
        # In float64, which some accelerators lack: sums of squares cancel.
        output, target = (kept.compute().cpu().double() for kept in (self.outputs, self.targets))
        # Of a single number torchmetrics makes a scalar.
        output, target = (kept if kept.dim() else kept.view(1, 1) for kept in (output, target))
        self.outputs.reset()
        self.targets.reset()
        known = ~target.isnan()
        pairs = [(output[rows, t], target[rows, t]) for t, rows in enumerate(known.T)]
        self.check([of_target for _, of_target in pairs])
        each = [self.of_target(t, *pair) for t, pair in enumerate(pairs)]
        results = {"loss": self.loss(output, target) if known.any() else torch.tensor(math.nan)}
        for metric in each[0]:
            values = torch.tensor([float(results_of[metric]) for results_of in each])
            results[metric] = values.nanmean()
            if len(each) > 1:
                for name, value in zip(self.target_names, values, strict=True):
                    results[f"{metric}/{name}"] = value
        return {name: value.float() for name, value in results.items()}

    def check(self, targets: list[Tensor]) -> None:
        """Say what the known values of each target lack, if anything."""

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        """What training minimises, over all known targets alike."""
        raise NotImplementedError

    def of_target(self, number: int, output: Tensor, target: Tensor) -> dict[str, Tensor | float]:
        """The metrics of one target, from its known values alone; NaN for what they do not give."""
        raise NotImplementedError


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


class ClassificationMetrics(PredictionMetrics):
    """Accuracy, area under the ROC curve (over several classes the mean of one against the rest)
    and Matthews' correlation.

    Where a class is absent there is no ROC curve: AUROC is NaN, and one warning names the class.

    Args:
        class_names (list of str): The classes, ``[C]``, the same ones for every target.

    Shapes:
        - **output:** logits, ``[R, T, C]`` for R graphs or nodes
        - **target:** index of the class as a float, ``[R, T]``; NaN where missing
    """

    def __init__(self, target_names: Sequence[str], class_names: Sequence[str], *, split: str):
        super().__init__(target_names, split=split)
        self.class_names = list(class_names)
        self._warned = False

    def check(self, targets: list[Tensor]) -> None:
        absent = [
            f"{self.class_names[index]!r} of {name!r}"
            for name, target in zip(self.target_names, targets, strict=True)
            for index in (~self._present(target)).nonzero().flatten().tolist()
        ]
        if not absent or self._warned:
            return
        self._warned = True  # once, not at every epoch
        listed = ", ".join(absent[:LISTED])
        if len(absent) > LISTED:
            listed += f" and {len(absent) - LISTED:,} more"
        warnings.warn(
            f"{self.split}: the class {listed} is absent, so that AUROC is NaN there; another "
            "data.split or data.split_seed may help",
            stacklevel=2,
        )

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        return masked_cross_entropy(output, target)

    def of_target(self, number: int, output: Tensor, target: Tensor) -> dict[str, Tensor | float]:
        if not len(target):
            return dict.fromkeys(("accuracy", "auroc", "mcc"), math.nan)
        target, chosen, classes = target.long(), output.argmax(1), len(self.class_names)
        varied = chosen.unique().numel() > 1 and target.unique().numel() > 1
        return {
            "accuracy": multiclass_accuracy(chosen, target, classes, average="micro"),
            "auroc": self._auroc(output.softmax(1), target),
            # Who always says the same knows nothing; torchmetrics' estimate says otherwise.
            "mcc": multiclass_matthews_corrcoef(chosen, target, classes) if varied else 0.0,
        }

    def _present(self, target: Tensor) -> Tensor:
        return target.long().bincount(minlength=len(self.class_names)) > 0

    def _auroc(self, probability: Tensor, target: Tensor) -> Tensor | float:
        if not self._present(target).all():
            return math.nan
        if probability.size(1) == 2:
            return binary_auroc(probability[:, 1], target)
        return multiclass_auroc(probability, target, probability.size(1), average="macro")
