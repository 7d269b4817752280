"""Losses of classes."""

from torch import Tensor
from torch.nn import functional as F

from gia.tasks.losses.base import Loss


class ClassLoss(Loss):
    """A loss of classes.

    Shapes:
        - **output:** logits, ``[R, T, C]``; minus infinity for a class that a target lacks
        - **target:** index of the class as a float, ``[R, T]``; NaN where missing
    """


class CrossEntropy(ClassLoss):
    r"""Cross entropy :math:`-\log p_z`."""

    name = "cross entropy, nats"

    def terms(self, output: Tensor, target: Tensor) -> Tensor:
        return _cross_entropy(output, target)


def _cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    classes_second = logits.movedim(-1, 1)
    return F.cross_entropy(classes_second, target.squeeze(-1).long(), reduction="none")
