"""What training minimises: one class a loss, over the targets that are known."""

from gia.tasks.losses.base import Loss, NumberLoss
from gia.tasks.losses.classes import ClassLoss, CrossEntropy, Focal
from gia.tasks.losses.gaussian import Gaussian
from gia.tasks.losses.pointwise import MAE, MSE, Huber
from gia.tasks.losses.quantile import Quantile

__all__ = [
    "MAE",
    "MSE",
    "ClassLoss",
    "CrossEntropy",
    "Focal",
    "Gaussian",
    "Huber",
    "Loss",
    "NumberLoss",
    "Quantile",
]
