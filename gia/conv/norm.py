"""Root-mean-square norm, for whole nodes or for each head alone."""

import torch
from torch import Tensor, nn


class RMSNorm(nn.Module):
    r""":math:`\mathbf{x} / \sqrt{\mathrm{mean}(\mathbf{x}^2) + \epsilon} \odot \mathbf{g}`.

    `"Root Mean Square Layer Normalization" <https://arxiv.org/abs/1910.07467>`_, eq. 4. Torch's own
    is made of ten passes over memory on the CPU; this one takes half as many. Statistics of half
    precision are in float32.

    Args:
        channels (int): Channels that are normalised together.
        heads (int, optional): With heads, each has a gain of its own.
        eps (float): Added to the mean square.

    Shapes:
        - **x**, **output:** ``[N, channels]``, or ``[H, N, channels]`` with heads
    """

    def __init__(self, channels: int, heads: int | None = None, *, eps: float = 1e-5):
        super().__init__()
        self.eps = eps
        shape = (channels,) if heads is None else (heads, 1, channels)
        self.weight = nn.Parameter(torch.empty(shape))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.ones_(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type == "cpu" and not torch.compiler.is_compiling():
            return _RMSNorm.apply(x, self.weight, self.eps)
        return nn.functional.rms_norm(x, x.shape[-1:], eps=self.eps) * self.weight

    def extra_repr(self) -> str:
        return f"{list(self.weight.shape)}, eps={self.eps}"


class _RMSNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        length = torch.linalg.vector_norm(wide, dim=-1, keepdim=True)
        scale = (length.square() / x.size(-1) + eps).rsqrt_()
        ctx.save_for_backward(x, weight, scale)
        return (wide * scale).mul_(weight).to(torch.promote_types(x.dtype, weight.dtype))

    @staticmethod
    def backward(ctx, grad: Tensor):
        x, weight, scale = ctx.saved_tensors
        grad = grad.to(scale.dtype)
        normed = x * scale
        product = grad * normed
        kept = [dim for dim, size in enumerate(weight.shape, x.dim() - weight.dim()) if size > 1]
        summed = [dim for dim in range(x.dim() - 1) if dim not in kept]
        grad_weight = product.sum(summed).view_as(weight)
        along = product.mul_(weight).mean(-1, keepdim=True)
        grad_x = (grad * weight).addcmul_(normed, along, value=-1).mul_(scale)
        return grad_x.to(x.dtype), grad_weight.to(weight.dtype), None
