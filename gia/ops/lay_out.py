"""Rows of tensors laid out in several blocks, each row once but for those that fill up a block."""

from collections.abc import Sequence

import torch
from torch import Tensor

from gia.ops.definition import defined_by


def lay_out_definition(
    tensors: Sequence[Tensor], sources: Sequence[Tensor], places: Tensor
) -> list[tuple[Tensor, ...]]:
    return [tuple(x.index_select(0, source) for x in tensors) for source in sources]


@defined_by(lay_out_definition)
def lay_out(
    tensors: Sequence[Tensor], sources: Sequence[Tensor], places: Tensor
) -> list[tuple[Tensor, ...]]:
    """Rows of some tensors in blocks: block b of each holds its rows ``sources[b]``.

    A row may fill several places of its block. All but one of them are padding, whose gradient is
    not looked at: what is made of it must count for nothing.

    Args:
        tensors (list of Tensor): ``[R, d]`` each.
        sources (list of Tensor): The row at each place of a block.
        places (Tensor): Where each row is among the places of all blocks, ``[R]``.

    Returns:
        For each block its part of each tensor.
    """
    return [*zip(*(_LayOut.apply(x, places, *sources) for x in tensors), strict=True)]


class _LayOut(torch.autograd.Function):
    """One pass over memory each way; torch's gradient of ``index_select`` adds up row by row."""

    @staticmethod
    def forward(ctx, x: Tensor, places: Tensor, *sources: Tensor) -> tuple[Tensor, ...]:
        ctx.save_for_backward(places)
        ctx.number = len(sources)
        return tuple(x.index_select(0, source) for source in sources)

    @staticmethod
    def backward(ctx, *grads: Tensor):
        (places,) = ctx.saved_tensors
        grad = grads[0] if len(grads) == 1 else torch.cat(grads)
        return grad.index_select(0, places), *[None] * (ctx.number + 1)
