"""What a node adds to the sum over its neighbours."""

import torch
from torch import Tensor

from gia.ops.definition import defined_by


def add_itself_definition(out: Tensor, eps: Tensor, x: Tensor) -> Tensor:
    return out + _scale(eps, x) * x


@defined_by(add_itself_definition)
def add_itself(out: Tensor, eps: Tensor, x: Tensor) -> Tensor:
    """``out + (1 + eps) x`` with an eps for each head, in one pass over memory.

    Shapes:
        - **out**, **x:** ``[..., H, d]``
        - **eps:** ``[H]``, or one for all
    """
    return _AddItself.apply(out, eps, x)


class _AddItself(torch.autograd.Function):
    @staticmethod
    def forward(ctx, out: Tensor, eps: Tensor, x: Tensor) -> Tensor:
        ctx.save_for_backward(eps, x)
        ctx.dtype = out.dtype
        return torch.addcmul(out, _scale(eps, x), x)

    @staticmethod
    def backward(ctx, grad: Tensor):
        eps, x = ctx.saved_tensors
        grad_eps = grad_x = None
        if ctx.needs_input_grad[1]:
            grad_eps = (grad * x).sum_to_size(eps.unsqueeze(1).shape).squeeze(1).to(eps.dtype)
        if ctx.needs_input_grad[2]:
            grad_x = grad * _scale(eps, grad)
        return grad.to(ctx.dtype), grad_eps, grad_x


def _scale(eps: Tensor, like: Tensor) -> Tensor:
    """``1 + eps``, ``[H, 1]``."""
    return (1 + eps).unsqueeze(1).to(like.dtype)
