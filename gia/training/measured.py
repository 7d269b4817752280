"""The story of a run that trains nothing: a pretrained model is measured as it is."""

from gia.training.fitted import FittedRun


class MeasuredRun(FittedRun):
    """A run whose model has nothing to train; its checkpoint says where the model comes from."""

    AT_ONCE = "nothing is trained"
    _kept = True

    def fit_model(self) -> None:
        """There is nothing to fit."""
