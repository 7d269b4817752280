"""Classification: classes of whole graphs or of their nodes."""

import math
import warnings
from collections.abc import Sequence
from dataclasses import replace
from itertools import compress
from pathlib import Path
from typing import Any, Literal

import torch
from matplotlib.figure import Figure
from torch import Tensor, inf, nn
from torch.nn.functional import pad
from torch_geometric.data import Batch, Data
from torchmetrics.functional.classification import (
    binary_auroc,
    multiclass_accuracy,
    multiclass_auroc,
    multiclass_matthews_corrcoef,
    multiclass_recall,
)

from gia.analysis.figures import save
from gia.analysis.prediction_figures import confusion_matrix, roc_curves
from gia.analysis.prediction_table import number_cell
from gia.analysis.predictions import Predictions
from gia.analysis.reliability_figures import AFTER, BEFORE, reliability_diagram
from gia.analysis.track_figures import Track, class_tracks
from gia.data.targets import ClassNames, classes_of_each
from gia.tasks.calibration import Temperature
from gia.tasks.losses import ClassLoss, CrossEntropy
from gia.tasks.metrics import PredictionMetrics
from gia.tasks.prediction import Prediction
from gia.tasks.reliability import named, of_classes
from gia.tasks.weights import class_weights as weights_of

MEASURES = ("accuracy", "balanced_accuracy", "auroc", "mcc")  # of one target
LISTED = 5  # absent classes named in a warning
TEMPERATURES = torch.logspace(-1, 1, 41).tolist()  # 1 among them; steps of an eighth


class ClassificationMetrics(PredictionMetrics):
    """Accuracy, area under the ROC curve (over several classes the mean of one against the rest)
    and Matthews' correlation.

    Where a class is absent there is no ROC curve: AUROC is NaN, and one warning names the class.
    While a model is trained there is its ``refinement`` too, the loss at the temperature that suits
    the measured part best (`Berta et al., 2025 <https://arxiv.org/abs/2501.19195>`_): how well the
    classes are told apart, however sure the model is of itself, which calibration mends afterwards.

    Args:
        class_names (list): The classes of every target, or a list for each target.
        criterion (ClassLoss): The loss.

    Shapes:
        - **output:** logits, ``[R, T, C]`` for R graphs or nodes and the C classes of the target
          that has most
        - **target:** index of the class as a float, ``[R, T]``; NaN where missing
    """

    def __init__(
        self,
        target_names: Sequence[str],
        class_names: ClassNames,
        criterion: ClassLoss,
        *,
        split: str,
    ):
        super().__init__(target_names, split=split)
        self.criterion = criterion
        self.classes = classes_of_each(class_names, len(target_names))
        self._warned = False

    def check(self, targets: list[Tensor]) -> None:
        absent = [
            f"{classes[index]!r} of {name!r}"
            for name, classes, target in zip(self.target_names, self.classes, targets, strict=True)
            for index in (~_present(target, len(classes))).nonzero().flatten().tolist()
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

    def loss(self, output: Tensor, target: Tensor, **more: Tensor) -> Tensor:
        return self.criterion(output, target, **more)

    def of_all(self, output: Tensor, target: Tensor, **more: Tensor) -> dict[str, Tensor]:
        results = super().of_all(output, target, **more)
        if self.split != "test":
            results["refinement"] = min(
                self.loss(output / temperature, target, **more) for temperature in TEMPERATURES
            )
        return results

    def of_target(self, number: int, output: Tensor, target: Tensor) -> dict[str, Tensor | float]:
        if not len(target):
            return dict.fromkeys(MEASURES, math.nan)
        target, chosen, classes = target.long(), output.argmax(1), len(self.classes[number])
        recall = multiclass_recall(chosen, target, classes, average=None)
        varied = chosen.unique().numel() > 1 and target.unique().numel() > 1
        return {
            "accuracy": multiclass_accuracy(chosen, target, classes, average="micro"),
            "balanced_accuracy": recall[_present(target, classes)].mean(),
            "auroc": _auroc(output[:, :classes].softmax(1), target),
            # Who always says the same knows nothing; torchmetrics' estimate says otherwise.
            "mcc": multiclass_matthews_corrcoef(chosen, target, classes) if varied else 0.0,
        }


class Classification(Prediction):
    """Classes: a loss over the known targets.

    Args:
        model, optimizer, scheduler, settings: As in :class:`~gia.tasks.Task`.
        target_names (list of str): The targets, ``[T]``.
        class_names (list): The classes of every target, or a list for each target.
        loss (ClassLoss, optional): What is minimised; left out, cross entropy.
        class_weights (str, list or dict, optional): How much classes count in the loss, see
            :func:`gia.tasks.weights.class_weights`.
        class_counts (list): How often each class of each target is there in training.
        level (str): What has targets, ``"graph"`` or ``"node"``.

    Shapes:
        - **model(batch):** logits, ``[R, C_1 + ... + C_T]`` for R graphs or nodes and the classes
          of each target
        - **batch.y:** index of the class as a float, ``[R, T]``; NaN where missing

    Raises:
        ValueError: If the loss is none of classes, or a target has fewer than two.
    """

    TRIVIAL_NAME = "class shares of training"

    def __init__(
        self,
        model: nn.Module,
        *,
        target_names: Sequence[str],
        class_names: ClassNames,
        loss: ClassLoss | None = None,
        class_weights: Any = None,
        class_counts: Sequence[Sequence[int]] = (),
        level: Literal["graph", "node"] = "graph",
        **kwargs: Any,
    ):
        classes = classes_of_each(class_names, len(target_names))
        for names in classes or [list(class_names)]:
            if len(names) < 2:
                raise ValueError(
                    f"a classification needs at least 2 classes, got {names}: "
                    "a target of numbers needs data.target_type=regression"
                )
        criterion = CrossEntropy() if loss is None else loss
        if not isinstance(criterion, ClassLoss):
            raise ValueError(
                f"{type(criterion).__name__} is no loss of classes: use loss=cross_entropy or "
                "focal, or task=regression"
            )
        super().__init__(
            model,
            target_names=target_names,
            level=level,
            metrics=lambda split: ClassificationMetrics(
                target_names, class_names, criterion, split=split
            ),
            **kwargs,
        )
        self.criterion, self.LOSS_NAME = criterion, f"loss ({criterion.name})"
        self.class_names, self.classes = list(class_names), classes
        self.sizes = list(map(len, classes))
        of_classes = None
        if class_weights is not None:
            of_classes = weights_of(class_weights, classes, class_counts)
        self.register_buffer("class_weights", of_classes, persistent=False)

    @property
    def output_shape(self) -> tuple[int, ...]:
        return (len(self.classes), max(self.sizes))

    @property
    def channels(self) -> int:
        return sum(self.sizes)

    def shaped(self, output: Tensor) -> Tensor:
        """Logits ``[R, T, C]``; those of classes that a target does not have are minus infinity."""
        parts, most = output.split(self.sizes, dim=1), max(self.sizes)
        return torch.stack([pad(part, (0, most - part.size(1)), value=-inf) for part in parts], 1)

    def loss_of(self, output: Tensor, data: Data) -> Tensor:
        return self.criterion(output, data.y, weight=self.weight(data))

    def compare(self, metrics: ClassificationMetrics, output: Tensor, data: Data) -> None:
        metrics.update(output, data.y, weight=self.weight(data))

    def weight(self, data: Data) -> Tensor | None:
        weight = super().weight(data)
        if self.class_weights is None:
            return weight
        index = data.y.nan_to_num(0).long()
        of_class = self.class_weights.gather(1, index.T).T  # [R, T]
        return of_class if weight is None else weight * of_class

    CALIBRATED = "calibrated probabilities"
    calibration: Temperature | None

    def learn_calibration(self, found: Predictions) -> Temperature:
        return Temperature.fit(found.target, found.output, self.sizes)

    def calibrated(self, found: Predictions) -> Predictions:
        """With probabilities that are as often right as they say."""
        return replace(found, output=self.calibration(found.output), uncalibrated=found)

    def reliability(self, found: Predictions) -> dict[str, dict[str, float]]:
        each = {
            name: of_classes(found.target, told, self.sizes)
            for name, told in _probabilities(found).items()
        }
        learned = self.calibration.learned
        return {name: named(of, self.target_names, learned) for name, of in each.items()}

    def predict_step(self, batch: Batch, batch_idx: int = 0, dataloader_idx: int = 0) -> Tensor:
        """Probabilities of the classes, ``[R, T, C]``, before they are calibrated."""
        return self.output(batch).softmax(-1)

    def combine(self, outputs: Tensor) -> Tensor:
        """Logarithms of the mean of all members' probabilities."""
        return outputs.log_softmax(-1).logsumexp(0) - math.log(len(outputs))

    def trivial_output(self, seen: Tensor) -> Tensor:
        """The logarithm of the classes' shares in training, ``[T, C]``.

        The likeliest class is then the commonest one. Each class counts as seen once more than it
        was, so that no class is impossible.
        """
        counts = [
            torch.stack([(column == index).sum() + 1 for index in range(size)]).float()
            for column, size in zip(seen.T, self.sizes, strict=True)
        ]
        logs = torch.cat([(count / count.sum()).log() for count in counts])
        return self.shaped(logs[None])[0]

    def picture(self, predictions: Predictions, folder: Path) -> list[Path]:
        """Draw which classes are taken for which, and the ROC curves."""
        shown = predictions.target, predictions.output, self.target_names, self.class_names
        return [
            *save(confusion_matrix(*shown), folder / "confusion_matrix"),
            *save(roc_curves(*shown), folder / "roc_curves"),
            *self._picture_reliability(predictions, folder),
        ]

    def tracks(self, chains: Sequence[Track], target: int, title: str) -> Figure:
        return class_tracks(chains, self.classes[target], title)

    def _picture_reliability(self, found: Predictions, folder: Path) -> list[Path]:
        if self.calibration is None or not self.calibration.learned.any():
            return []
        learned = self.calibration.learned
        names, classes = (list(compress(of, learned)) for of in (self.target_names, self.classes))
        told = {name: values[:, learned] for name, values in _probabilities(found).items()}
        drawn = reliability_diagram(found.target[:, learned], told, names, classes)
        return save(drawn, folder / "calibration")

    def output_columns(self) -> list[str]:
        several = len(self.target_names) > 1
        columns = []
        for target, names in zip(self.target_names, self.classes, strict=True):
            columns.append(f"predicted_{target}")
            columns += [
                f"probability_{target}_{name}" if several else f"probability_{name}"
                for name in names
            ]
        return columns

    def output_cells(self, output: Tensor) -> list[str]:
        """The likeliest class of each target, and the probabilities of all, ``[T, C]`` before."""
        cells = []
        for names, probabilities in zip(self.classes, output.tolist(), strict=True):
            of_classes = probabilities[: len(names)]
            likeliest = max(range(len(names)), key=of_classes.__getitem__)
            cells += [names[likeliest], *map(number_cell, of_classes)]
        return cells

    def target_cells(self, target: Tensor) -> list[str]:
        pairs = zip(self.classes, target.tolist(), strict=True)
        return ["" if value != value else names[int(value)] for names, value in pairs]

    def between_nodes(self, column: str) -> str:
        """Nothing between classes of one letter, which are a word then, as a column of targets."""
        letters = all(len(name) == 1 for names in self.classes for name in names)
        return "" if letters and column.startswith("predicted_") else " "


def _probabilities(found: Predictions) -> dict[str, Tensor]:
    return {BEFORE: found.uncalibrated.output, AFTER: found.output}


def _present(target: Tensor, classes: int) -> Tensor:
    return target.long().bincount(minlength=classes) > 0


def _auroc(probability: Tensor, target: Tensor) -> Tensor | float:
    classes = probability.size(1)
    if not _present(target, classes).all():
        return math.nan
    if classes == 2:
        return binary_auroc(probability[:, 1], target)
    return multiclass_auroc(probability, target, classes, average="macro")
