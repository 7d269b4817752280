"""The variance from the first two moments."""

import torch
from torch import Tensor


def variance(mean: Tensor, square: Tensor) -> Tensor:
    """``max(0, square - mean^2)``, of which only the arguments are kept for the gradient."""
    return _Variance.apply(mean, square)


class _Variance(torch.autograd.Function):
    """``max(0, square - mean^2)``.

    Keeps nothing for the gradient but its arguments, which the kernels that made them keep anyway.
    """

    @staticmethod
    def forward(ctx, mean: Tensor, square: Tensor) -> Tensor:
        ctx.save_for_backward(mean, square)
        var = torch.addcmul(square, mean, mean, value=-1)
        # Compiled by torch 2.11, what is changed in place on its way out loses its gradient.
        return var.relu() if torch.compiler.is_compiling() else var.relu_()

    @staticmethod
    def backward(ctx, grad: Tensor):
        mean, square = ctx.saved_tensors
        grad = grad * (torch.addcmul(square, mean, mean, value=-1) > 0)
        return (grad * mean).mul_(-2), grad
