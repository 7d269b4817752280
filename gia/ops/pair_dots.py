"""Dot products of all pairs of two lists of vectors."""

import torch
from torch import Tensor

from gia.ops.definition import defined_by


def pair_dots_definition(left: Tensor, right: Tensor, scale: float) -> Tensor:
    return scale * left @ right.transpose(-1, -2)


@defined_by(pair_dots_definition)
def pair_dots(left: Tensor, right: Tensor, scale: float) -> Tensor:
    """``scale * left @ right^T``, the factor taken into the products.

    Shapes:
        - **left:** ``[B, H, R, d]``
        - **right:** ``[B, H, C, d]``
        - **output:** ``[B, H, R, C]``, of no other tensor's memory: it may be overwritten
    """
    return _PairDots.apply(left, right, scale)


class _PairDots(torch.autograd.Function):
    @staticmethod
    def forward(ctx, left: Tensor, right: Tensor, scale: float) -> Tensor:
        ctx.save_for_backward(left, right)
        ctx.scale = scale
        out = left.new_empty(*left.shape[:-1], right.size(-2))  # no view of something else
        left, right = left.flatten(0, 1), right.flatten(0, 1).transpose(1, 2)
        product = out.flatten(0, 1)
        torch.baddbmm(left.new_empty(()), left, right, beta=0, alpha=scale, out=product)
        return out

    @staticmethod
    def backward(ctx, grad: Tensor):
        left, right = ctx.saved_tensors
        of_left = of_right = None
        if ctx.needs_input_grad[0]:
            of_left = _product(grad, right, ctx.scale)
        if ctx.needs_input_grad[1]:
            of_right = _product(grad.transpose(-1, -2), left, ctx.scale)
        return of_left, of_right, None


def _product(left: Tensor, right: Tensor, scale: float) -> Tensor:
    """``scale * left @ right`` for each head."""
    shape = *left.shape[:-1], right.size(-1)
    left, right = left.flatten(0, 1), right.flatten(0, 1)
    unused = left.new_empty(())
    return torch.baddbmm(unused, left, right, beta=0, alpha=scale).view(shape)
