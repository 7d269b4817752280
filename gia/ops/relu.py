"""A ReLU that keeps little."""

import torch
from torch import Tensor

from gia.ops.definition import defined_by


def relu_definition(x: Tensor) -> Tensor:
    return x.relu()


@defined_by(relu_definition)
def relu_in_place(x: Tensor) -> Tensor:
    """``max(x, 0)`` in the place of x, keeping a byte for each number for the gradient."""
    return _ReLU.apply(x)


class _ReLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        ctx.mark_dirty(x)
        ctx.save_for_backward(x > 0)
        return x.relu_()

    @staticmethod
    def backward(ctx, grad: Tensor):
        (positive,) = ctx.saved_tensors
        return grad * positive.view(torch.uint8)  # of bool torch makes a copy first
