"""SiLU, its gradient, and the gate of SwiGLU."""

import torch
from torch import Tensor
from torch.nn.functional import silu

from gia.ops.definition import defined_by


def silu_gradient(grad: Tensor, x: Tensor) -> Tensor:
    """The gradient of x, given that of its SiLU; with a gradient of its own where one is wanted."""
    if not torch.is_grad_enabled():
        return torch.ops.aten.silu_backward(grad, x)
    sigmoid = x.sigmoid()  # torch's one kernel has no derivative of its own
    return grad * sigmoid * (1 + x * (1 - sigmoid))


def gated_definition(gate: Tensor, value: Tensor) -> Tensor:
    return silu(gate) * value


@defined_by(gated_definition)
def gated(gate: Tensor, value: Tensor) -> Tensor:
    """``silu(gate) * value``, keeping only the two for the gradient."""
    return _Gated.apply(gate, value)


class _Gated(torch.autograd.Function):
    @staticmethod
    def forward(ctx, gate: Tensor, value: Tensor) -> Tensor:
        ctx.save_for_backward(gate, value)
        return silu(gate).mul_(value)

    @staticmethod
    def backward(ctx, grad: Tensor):
        gate, value = ctx.saved_tensors
        of_gate = grad * value
        if torch.is_grad_enabled():
            return silu_gradient(of_gate, gate), silu(gate) * grad
        torch.ops.aten.silu_backward.grad_input(of_gate, gate, grad_input=of_gate)
        return of_gate, silu(gate).mul_(grad)
