"""The variance from the first two moments."""

import torch
from torch import Tensor

from gia.ops.definition import defined_by


def variance_definition(mean: Tensor, square: Tensor) -> Tensor:
    return (square - mean * mean).relu()


@defined_by(variance_definition)
def variance(mean: Tensor, square: Tensor) -> Tensor:
    """``max(0, square - mean^2)``, of which only the arguments are kept for the gradient.

    The kernels that made them keep them anyway.
    """
    return _Variance.apply(mean, square)


class _Variance(torch.autograd.Function):
    @staticmethod
    def forward(ctx, mean: Tensor, square: Tensor) -> Tensor:
        ctx.save_for_backward(mean, square)
        return torch.addcmul(square, mean, mean, value=-1).relu_()

    @staticmethod
    def backward(ctx, grad: Tensor):
        mean, square = ctx.saved_tensors
        grad = grad * (torch.addcmul(square, mean, mean, value=-1) > 0)
        return (grad * mean).mul_(-2), grad
