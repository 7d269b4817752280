"""Dropout that draws few random numbers."""

import torch
from torch import Tensor, nn

# Chances are multiples of 1 / LEVELS, and a number of 64 bits decides about four entries.
LEVELS = 2**16


class Dropout(nn.Dropout):
    """:class:`torch.nn.Dropout`, on the CPU in less than half the time.

    Torch draws a random number for each entry there, which takes longer than a small layer; this
    one draws 16 bits, so that the chance is rounded to a multiple of ``2**-16`` (and the scale is
    its). Elsewhere, and in place, it is torch's.

    Args:
        p (float): Chance of an entry to become 0.
    """

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        level = round(self.p * LEVELS)
        fast = x.is_cpu and not self.inplace and not torch.compiler.is_compiling()
        if not (fast and 0 < level < LEVELS):
            return super().forward(x)
        number = x.numel()
        bits = torch.empty(-(-number // 4), dtype=torch.int64, device=x.device)
        bits = bits.random_(-(2**63), None).view(torch.int16)[:number].view(x.shape)
        return _Drop.apply(x, bits >= level - LEVELS // 2, LEVELS / (LEVELS - level))


class _Drop(torch.autograd.Function):
    """``scale * keep * x``, keeping a byte for each entry."""

    @staticmethod
    def forward(ctx, x: Tensor, keep: Tensor, scale: float) -> Tensor:
        ctx.save_for_backward(keep)
        ctx.scale = scale
        return keep.to(x.dtype).mul_(scale).mul_(x)

    @staticmethod
    def backward(ctx, grad: Tensor):
        (keep,) = ctx.saved_tensors
        return keep.to(grad.dtype).mul_(ctx.scale) * grad, None, None
