"""Dropout that draws few random numbers."""

import torch
from torch import Tensor
from torch.nn.functional import dropout

from gia.ops.definition import defined_by

# Chances are multiples of 1 / LEVELS, and a number of 64 bits decides about four entries.
LEVELS = 2**16


@defined_by(dropout)
def drop(x: Tensor, p: float) -> Tensor:
    """Entries become 0 with a chance p, and the others are scaled up.

    Torch draws a random number for each entry on the CPU, which takes longer than a small layer;
    this one draws 16 bits there, so that the chance is rounded to a multiple of ``2**-16`` (and the
    scale is its). Its definition is torch's, which draws other entries of the same chance; where
    all entries or none are dropped, and on other devices, it is that.
    """
    level, number = round(p * LEVELS), x.numel()
    if not x.is_cpu or not 0 < level < LEVELS:
        return dropout(x, p)
    bits = torch.empty(-(-number // 4), dtype=torch.int64, device=x.device)
    bits = bits.random_(-(2**63), None).view(torch.int16)[:number].view(x.shape)
    # As bytes: writing and reading bool takes the kernels several times longer.
    keep = torch.ge(bits, level - LEVELS // 2, out=torch.empty_like(bits, dtype=torch.uint8))
    return _Drop.apply(x, keep, LEVELS / (LEVELS - level))


class _Drop(torch.autograd.Function):
    """``scale * keep * x``, keeping a byte for each entry."""

    @staticmethod
    def forward(ctx, x: Tensor, keep: Tensor, scale: float) -> Tensor:
        ctx.save_for_backward(keep)
        ctx.scale = scale
        return _scaled(x, keep, scale)

    @staticmethod
    def backward(ctx, grad: Tensor):
        (keep,) = ctx.saved_tensors
        return _scaled(grad, keep, ctx.scale), None, None


def _scaled(x: Tensor, keep: Tensor, scale: float) -> Tensor:
    return torch.addcmul(x.new_zeros(()), x, keep, value=scale)  # in one pass
