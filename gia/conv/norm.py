"""Root-mean-square norm, for whole nodes or for each head alone."""

import torch
from torch import Tensor, nn

# For so few numbers, as of a token at a time, one call counts more than passes over memory.
FEW = 2**14


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
        if not x.is_cpu or torch.compiler.is_compiling():  # there torch's own is one kernel
            return nn.functional.rms_norm(x, x.shape[-1:], eps=self.eps) * self.weight
        if torch.is_grad_enabled():
            return _RMSNorm.apply(x, self.weight, self.eps)
        if x.numel() <= FEW and x.dtype == self.weight.dtype and self.weight.dim() == 1:
            return nn.functional.rms_norm(x, x.shape[-1:], self.weight, self.eps)
        return _normalize(x, self.weight, self.eps)

    def extra_repr(self) -> str:
        return f"{list(self.weight.shape)}, eps={self.eps}"


class RMSNormSiLU(RMSNorm):
    """The SiLU of :class:`RMSNorm`. The CPU makes what is between anew for the gradient."""

    def forward(self, x: Tensor) -> Tensor:
        if x.is_cpu and torch.is_grad_enabled() and not torch.compiler.is_compiling():
            return _RMSNormSiLU.apply(x, self.weight, self.eps)
        return nn.functional.silu(super().forward(x))


class _RMSNorm(torch.autograd.Function):
    """Keeps x alone, and makes its scale anew for the gradient."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.eps = eps
        return _normalize(x, weight, eps)

    @staticmethod
    def backward(ctx, grad: Tensor):
        x, weight = ctx.saved_tensors
        scale = _scale(x, ctx.eps)
        return *_gradients(grad.to(scale.dtype), x, x * scale, scale, weight), None


class _RMSNormSiLU(torch.autograd.Function):
    """The same, and SiLU of it."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.eps = eps
        return nn.functional.silu(_normalize(x, weight, eps), inplace=True)

    @staticmethod
    def backward(ctx, grad: Tensor):
        x, weight = ctx.saved_tensors
        scale = _scale(x, ctx.eps)
        normed = x * scale
        grad = silu_gradient(grad.to(scale.dtype), normed * weight)
        return *_gradients(grad, x, normed, scale, weight), None


def silu_gradient(grad: Tensor, x: Tensor) -> Tensor:
    """The gradient of x, given that of its SiLU; with a gradient of its own where one is wanted."""
    if not torch.is_grad_enabled():
        return torch.ops.aten.silu_backward(grad, x)
    sigmoid = x.sigmoid()  # torch's one kernel has no derivative of its own
    return grad * sigmoid * (1 + x * (1 - sigmoid))


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


def _normalize(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    normed = x * _scale(x, eps)
    return normed.mul_(weight).to(torch.promote_types(x.dtype, weight.dtype))


def _scale(x: Tensor, eps: float) -> Tensor:
    """What x is multiplied by, ``[..., 1]``, at least in float32."""
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    length = torch.linalg.vector_norm(wide, dim=-1, keepdim=True)
    return (length.square() / x.size(-1) + eps).rsqrt()
