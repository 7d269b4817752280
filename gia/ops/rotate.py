"""Planes of channels turned by angles."""

import torch
from torch import Tensor

from gia.ops.definition import defined_by


def rotate_definition(x: Tensor, rotary: Tensor) -> Tensor:
    cos, sin = rotary.unbind()
    first, second = x.chunk(2, dim=-1)
    return (x * cos + torch.cat([-second, first], dim=-1) * sin).to(x.dtype)


@defined_by(rotate_definition)
def rotate(x: Tensor, rotary: Tensor) -> Tensor:
    """Turn x ``[N, H, d]`` by the angles of its nodes ``[2, N, 1, d]``, which get no gradient.

    x keeps its precision, but is turned in that of the angles.
    """
    turned = _Rotate.apply(x, rotary, 1) if torch.is_grad_enabled() else _turn(x, rotary, 1)
    return turned.to(x.dtype)


class _Rotate(torch.autograd.Function):
    """Only the angles are kept for the gradient, which is turned back by them."""

    @staticmethod
    def forward(ctx, x: Tensor, rotary: Tensor, sign: int) -> Tensor:
        ctx.save_for_backward(rotary)
        ctx.sign = sign
        return _turn(x, rotary, sign)

    @staticmethod
    def backward(ctx, grad: Tensor):
        (rotary,) = ctx.saved_tensors
        return _Rotate.apply(grad, rotary, -ctx.sign), None, None


def _turn(x: Tensor, rotary: Tensor, sign: int) -> Tensor:
    """``x * cos + sign * [-x2, x1] * sin`` for the halves of x, in two passes over memory."""
    cos, sin = rotary.unbind()
    first, second = x.chunk(2, dim=-1)
    sin_first, sin_second = sin.chunk(2, dim=-1)
    if sign < 0:  # back: each half of sin belongs to the half that it was multiplied with
        sin_first, sin_second = sin_second, sin_first
    out = x * cos
    out_first, out_second = out.chunk(2, dim=-1)
    out_first.addcmul_(second, sin_first, value=-sign)
    out_second.addcmul_(first, sin_second, value=sign)
    return out
