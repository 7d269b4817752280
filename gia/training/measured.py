"""The story of a run that trains nothing: a pretrained model is measured as it is."""

from gia.training.run import Run


class MeasuredRun(Run):
    """A run whose model has nothing to train; its checkpoint says where the model comes from.

    Data, metrics and report are those of every run.
    """

    def train(self) -> None:
        """Validate once.

        Raises:
            ValueError: If it is asked to resume.
        """
        if self.ckpt_path is not None:
            raise ValueError(
                f"ckpt_path={self.ckpt_path}: nothing is trained, so that there is nothing to "
                "resume; leave ckpt_path out"
            )
        self.trainer.validate(self.task, self.datamodule, verbose=False)  # History keeps it
        if self.trainer.checkpoint_callback is not None:
            self.trainer.save_checkpoint(self.folder / "checkpoints" / "best.ckpt")
