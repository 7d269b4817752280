"""The story of a run whose model is fitted at once, and not by steps."""

import time
from pathlib import Path
from typing import Any

from gia.training.blend import fit_at_once, is_kept
from gia.training.processes import check_alone
from gia.training.run import Run


class FittedRun(Run):
    """A run of a model with a method ``fit(graphs, validation)``, such as a random forest.

    Data, split, metrics and report are those of every run; there is one validation, after the
    fitting. What has an extra state (``get_extra_state``) is kept in a checkpoint.
    """

    AT_ONCE = "this model is fitted at once"

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        check_alone(self.trainer, self.AT_ONCE)
        if not self._kept:
            self.notes.append(
                "this model is kept in no checkpoint for gia predict: what it says of the test "
                "part is in predictions.csv"
            )

    def train(self) -> None:
        """Fit and validate.

        Raises:
            ValueError: If it is asked to resume.
        """
        if self.ckpt_path is not None:
            raise ValueError(
                f"ckpt_path={self.ckpt_path}: {self.AT_ONCE}, so that there is nothing to resume; "
                "leave ckpt_path out"
            )
        start = time.perf_counter()
        self.fit_model()
        self.throughput.seconds = time.perf_counter() - start
        self.trainer.validate(self.task, self.datamodule, verbose=False)  # History keeps it
        if self._kept and self.trainer.checkpoint_callbacks:
            self.trainer.save_checkpoint(self._file)

    @property
    def tested_file(self) -> Path | None:
        """The checkpoint of the fitted model, if it can be kept."""
        return self._file if self._file.is_file() else None

    @property
    def _file(self) -> Path:
        return self.folder / "checkpoints" / "best.ckpt"

    @property
    def _kept(self) -> bool:
        return is_kept(self.task.model)

    def fit_model(self) -> None:
        """Fit the model."""
        fit_at_once(self.task.model, self.task, self.datamodule)
