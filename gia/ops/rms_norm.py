"""Root-mean-square norm in few passes over memory."""

import torch
from torch import Tensor
from torch.nn.functional import rms_norm as torch_rms_norm
from torch.nn.functional import silu

from gia.ops.definition import defined_by
from gia.ops.silu import silu_gradient

# For so few numbers, as of a token at a time, one call counts more than passes over memory.
FEW = 2**14


def rms_norm_definition(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    return torch_rms_norm(x, x.shape[-1:], eps=eps) * weight


@defined_by(rms_norm_definition)
def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """``x / sqrt(mean(x^2) + eps) * weight`` over the last dimension.

    Torch's own is made of ten passes over memory on the CPU; this one takes half as many. Where
    torch's is one kernel, it is torch's. Statistics of half precision are in float32.

    Shapes:
        - **x**, **output:** ``[..., C]``
        - **weight:** ``[C]``, or what is broadcast to x
    """
    if not x.is_cpu:
        return rms_norm_definition(x, weight, eps)
    if torch.is_grad_enabled():
        return _RMSNorm.apply(x, weight, eps)
    if x.numel() <= FEW and x.dtype == weight.dtype and weight.dim() == 1:
        return torch_rms_norm(x, x.shape[-1:], weight, eps)
    return _normalize(x, weight, _scale(x, eps))


def rms_norm_silu_definition(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    return silu(rms_norm_definition(x, weight, eps))


@defined_by(rms_norm_silu_definition)
def rms_norm_silu(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """The SiLU of :func:`rms_norm`. The CPU makes what is between anew for the gradient."""
    if x.is_cpu and torch.is_grad_enabled():
        return _RMSNormSiLU.apply(x, weight, eps)
    return silu(rms_norm(x, weight, eps))


class _RMSNorm(torch.autograd.Function):
    """Keeps x and its scale, a number for each row; second derivatives make that anew."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        scale = _scale(x, eps)
        ctx.save_for_backward(x, weight, scale)
        ctx.eps = eps
        return _normalize(x, weight, scale)

    @staticmethod
    def backward(ctx, grad: Tensor):
        x, weight, scale = ctx.saved_tensors
        if torch.is_grad_enabled():
            scale = _scale(x, ctx.eps)
        return *_gradients(grad.to(scale.dtype), x, x * scale, scale, weight), None


class _RMSNormSiLU(torch.autograd.Function):
    """The same, and SiLU of it."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        scale = _scale(x, eps)
        ctx.save_for_backward(x, weight, scale)
        ctx.eps = eps
        return silu(_normalize(x, weight, scale), inplace=True)

    @staticmethod
    def backward(ctx, grad: Tensor):
        x, weight, scale = ctx.saved_tensors
        if torch.is_grad_enabled():
            scale = _scale(x, ctx.eps)
        normed = x * scale
        grad = silu_gradient(grad.to(scale.dtype), normed * weight)
        return *_gradients(grad, x, normed, scale, weight), None


def _gradients(
    grad: Tensor, x: Tensor, normed: Tensor, scale: Tensor, weight: Tensor
) -> tuple[Tensor, Tensor]:
    """Those of x and of the gain, given that of ``normed * weight``."""
    product = grad * normed
    grad_weight = product.sum_to_size(weight.shape).to(weight.dtype)
    gain = weight.to(product.dtype) / x.size(-1)
    along = product @ (gain.mT if gain.dim() > 1 else gain.unsqueeze(-1))
    grad_x = (grad * weight).addcmul_(normed, along, value=-1).mul_(scale)
    return grad_x.to(x.dtype), grad_weight


def _normalize(x: Tensor, weight: Tensor, scale: Tensor) -> Tensor:
    normed = x * scale
    return normed.mul_(weight).to(torch.promote_types(x.dtype, weight.dtype))


def _scale(x: Tensor, eps: float) -> Tensor:
    """What x is multiplied by, ``[..., 1]``, at least in float32."""
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    length = torch.linalg.vector_norm(wide, dim=-1, keepdim=True)
    return (length.square() / x.size(-1) + eps).rsqrt()
