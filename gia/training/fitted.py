"""The story of a run whose model is fitted at once, and not by steps."""

import time
from typing import Any

from gia.training.run import Run


class FittedRun(Run):
    """A run of a model with a method ``fit(graphs, validation)``, such as a random forest.

    Data, split, metrics and report are those of every run; there is one validation, after the
    fitting, and no checkpoint.
    """

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.notes.append(
            "this model is kept in no checkpoint for gia predict or gia embed: what it says of the "
            "test part is in predictions.csv"
        )

    def train(self) -> None:
        """Fit and validate.

        Raises:
            ValueError: If it is asked to resume.
        """
        if self.ckpt_path is not None:
            raise ValueError(
                f"ckpt_path={self.ckpt_path}: this model is fitted at once, so that there is "
                "nothing to resume; leave ckpt_path out"
            )
        start = time.perf_counter()
        self.fit_model()
        self.throughput.seconds = time.perf_counter() - start
        self.trainer.validate(self.task, self.datamodule, verbose=False)  # History keeps it

    def fit_model(self) -> None:
        """Fit the model."""
        self.task.model.fit(self.datamodule.train_data, self.datamodule.val_data)
