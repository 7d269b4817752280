"""Losses of classes."""

import torch
from torch import Tensor
from torch.nn import functional as F

from gia.tasks.losses.base import Loss

EPS = 1e-7  # the least 1 - p


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
        index = target.squeeze(-1).long()
        return F.cross_entropy(output.movedim(-1, 1), index, reduction="none")


class Focal(CrossEntropy):
    r"""Cross entropy that leaves out what is told already, for rare classes (`Lin et al., 2017
    <https://arxiv.org/abs/1708.02002>`_): :math:`-(1 - p_z)^\gamma \log p_z`.

    Args:
        gamma (float): :math:`\gamma`; 0 is cross entropy.

    Raises:
        ValueError: If it is below 0.
    """

    def __init__(self, gamma: float = 2.0):
        super().__init__()
        if not gamma >= 0:
            raise ValueError(f"loss.gamma must be at least 0, got {gamma}")
        self.gamma = gamma
        self.name = f"focal loss, gamma {gamma:g}, nats"

    def terms(self, output: Tensor, target: Tensor) -> Tensor:
        entropy = super().terms(output, target)
        wrong = (-torch.expm1(-entropy)).clamp(min=EPS)  # where a root still has a gradient
        return wrong**self.gamma * entropy
