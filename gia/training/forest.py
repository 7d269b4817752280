"""The story of a run whose model is fitted at once, and not by steps."""

import time

from gia.training.calibration import learn
from gia.training.run import Run


class ForestRun(Run):
    """A run of a model with a method ``fit(graphs)``, such as a random forest.

    Data, split, metrics and report are those of every run; there is one validation, after the
    fitting, and no checkpoint.
    """

    def fit(self) -> dict[str, float]:
        """Fit, validate, test.

        Returns:
            The test metrics.

        Raises:
            ValueError: If it is asked to resume.
        """
        if self.ckpt_path is not None:
            raise ValueError(
                f"ckpt_path={self.ckpt_path}: this model is fitted at once, so that there is "
                "nothing to resume; leave ckpt_path out"
            )
        start = time.perf_counter()
        self.task.model.fit(self.datamodule.train_data)
        self.throughput.seconds = time.perf_counter() - start
        self.trainer.validate(self.task, self.datamodule, verbose=False)  # History keeps it
        learn(self.task, self.datamodule, self.trainer)
        return self.trainer.test(self.task, self.datamodule, verbose=False)[0]
