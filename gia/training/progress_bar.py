"""How far a training is: a bar at a terminal, elsewhere a plain line every so often."""

import math
from typing import Any

from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import RichProgressBar
from rich import get_console

from gia.data.progress import EVERY, Clock, duration


class ProgressBar(RichProgressBar):
    """Lightning's rich progress bar; in a log file, where no bar can move, lines in its place.

    A line says the epoch, the step, the losses, what has passed and about what is left, at most:
    a training may stop early. One comes every so many seconds, and one at the end.

    Args:
        every (float, optional): Seconds between two lines; 15 if left out.
        **kwargs: Of Lightning's.

    Raises:
        ValueError: If they are negative.
    """

    def __init__(self, every: float | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.every = EVERY if every is None else every
        if not isinstance(self.every, int | float) or self.every < 0:
            raise ValueError(
                f"callbacks.progress_bar.every must be a number of at least 0, got {every!r}"
            )
        self._clock: Clock | None = None  # where lines are written
        self._before = 0.0  # the share that a resumed training has behind it
        self._first_step = 0

    def get_metrics(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, Any]:
        items = super().get_metrics(trainer, pl_module)
        items.pop("v_num", None)  # the logger's version number
        return items

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        super().setup(trainer, pl_module, stage)
        console = get_console()
        if not (console.is_terminal or console.is_jupyter):
            self.disable()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        super().on_train_start(trainer, pl_module)
        if self.is_disabled and self.refresh_rate > 0 and trainer.is_global_zero:
            # Of an epoch that a checkpoint has ended, batches are still counted.
            self._clock, self._before = Clock(self.every), _share(trainer, within=False)
            self._first_step = trainer.global_step

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, *args: Any, **kwargs: Any
    ) -> None:
        super().on_train_batch_end(trainer, pl_module, *args, **kwargs)
        if self._clock is not None and self._clock.due():
            self._tell(trainer, pl_module)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        super().on_validation_end(trainer, pl_module)
        if self._clock is not None and not trainer.sanity_checking and self._clock.due():
            self._tell(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        super().on_train_end(trainer, pl_module)
        if self._clock is not None:
            passed = duration(self._clock.passed)
            steps = trainer.global_step - self._first_step
            print(f"  trained for {steps:,} steps in {passed}", flush=True)
            self._clock = None

    def _tell(self, trainer: Trainer, pl_module: LightningModule) -> None:
        where = f"step {trainer.global_step:,}"
        if trainer.max_steps > 0:
            where += f" of {trainer.max_steps:,}"
        if trainer.max_epochs not in (None, -1):
            where = f"epoch {trainer.current_epoch + 1} of {trainer.max_epochs}, {where}"
        losses = [
            f"{name} {float(value):.4g}"
            for name, value in self.get_metrics(trainer, pl_module).items()
        ]
        done = (_share(trainer) - self._before) / (1 - self._before or 1)
        told = ", ".join([where, *losses])
        print(f"  {told}; {self._clock.times(done)}", flush=True)


def _share(trainer: Trainer, *, within: bool = True) -> float:
    """How much of a training is done, between 0 and 1; 0 where it has no end.

    Args:
        trainer (Trainer): Whose training.
        within (bool): Whether the batches of the epoch that is going on count.
    """
    shares = [0.0]
    batches = trainer.num_training_batches
    if trainer.max_epochs not in (None, -1, 0) and math.isfinite(batches) and batches:
        done = trainer.fit_loop.epoch_loop.batch_progress.current.processed / batches
        epochs = trainer.current_epoch + (min(done, 1) if within else 0)
        shares.append(epochs / trainer.max_epochs)
    if trainer.max_steps > 0:
        shares.append(trainer.global_step / trainer.max_steps)
    return min(max(shares), 1.0)
