"""What predictions say of their errors, and what that was learned from."""

from collections.abc import Iterable, Iterator
from typing import Any

from torch_geometric.data import Batch

from gia.analysis.predictions import Predictions
from gia.data.training_set import TrainingSet
from gia.nn import DropoutSamples
from gia.tasks.calibration import CONFIDENCE, FEWEST, Calibration
from gia.tasks.supervised import Supervised

LISTED = 5  # targets named in a line


class Calibrated(Supervised):
    """A task whose predictions are compared with targets that the model was not trained on, and
    with the graphs that it was.

    A new one gives :meth:`learn_calibration`, :meth:`calibrated` and :meth:`reliability`, or is
    not calibrated.

    Attributes:
        calibration: What was learned; None before, or in a checkpoint that knows of none.
        confidence: Of the intervals.
        training_set: What new graphs are compared with, if anything.
    """

    CALIBRATED = ""  # what a calibration gives, if there can be one
    target_names: list[str]
    calibration: Calibration | None = None
    confidence = CONFIDENCE
    training_set: TrainingSet | None = None

    def predictions(self, batches: Iterable[Batch], **options: Any) -> Predictions:
        """Predict all batches, with :meth:`calibrated`."""
        raise NotImplementedError

    def calibrate(self, batches: Iterable[Batch], **options: Any) -> None:
        """Learn how far off predictions are, from targets that the model was not trained on.

        Args:
            batches (iterable of Batch): As of a datamodule's ``loader("val")``.
            options: Of :meth:`predictions`.
        """
        self.calibration = None
        found = self.predictions(batches, **options)
        if len(found.target):
            self.calibration = self.learn_calibration(found)

    def learn_calibration(self, found: Predictions) -> Calibration | None:
        """What predictions beside known targets teach; None if there is nothing to calibrate."""
        return None

    def calibrated(self, found: Predictions) -> Predictions:
        """Predictions with what :attr:`calibration` makes of them; what they were before is their
        ``uncalibrated``."""
        return found

    def reliability(self, found: Predictions) -> dict[str, dict[str, float]]:
        """How far what calibrated predictions say of their errors is true, and how far that was so
        ``before``: metrics of :mod:`gia.tasks.reliability` by their names."""
        return {}

    def interval_columns(self) -> list[str]:
        """Names of the ends of intervals, where there are any."""
        return []

    def calibration_notes(self, path: Any = None) -> Iterator[str]:
        """What to say of predictions, or targets, that are not calibrated.

        Args:
            path (Path, optional): The checkpoint of the model.
        """
        if self.calibration is None:
            if self.CALIBRATED and isinstance(self.model, DropoutSamples):
                yield f"no {self.CALIBRATED}: predictions with dropout_samples are not calibrated"
            elif self.CALIBRATED and path is not None:
                yield (
                    f"no {self.CALIBRATED}: {path} is not calibrated; "
                    f"gia.training.calibrate({str(path)!r}) in Python does it, on the validation "
                    "part of its data"
                )
            return
        known = self.calibration.known.tolist(), self.calibration.learned.tolist()
        pairs = zip(self.target_names, *known, strict=True)
        left_out = [(name, number) for name, number, learned in pairs if not learned]
        few = [f"{number} of {name!r}" for name, number in left_out if number < FEWEST]
        one = [repr(name) for name, number in left_out if number >= FEWEST]
        if few:
            yield (
                f"no {self.CALIBRATED}: the validation part knows {listed(few)}, fewer than "
                f"{FEWEST}; give more rows or a larger data.val_fraction"
            )
        if one:
            yield (
                f"no {self.CALIBRATED} of {listed(one)}: the validation part knows one class "
                "alone; give another data.split_seed"
            )


def listed(names: list[str]) -> str:
    more = f" and {len(names) - LISTED:,} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more
