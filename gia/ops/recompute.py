"""What is cheaper to make again for the gradient than to keep: a tensor, or a whole computation."""

import contextlib
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from gia.ops.definition import defined_by
from gia.typing import OptTensor


def forgetting_definition(
    x: Tensor, again: Callable[[], Tensor]
) -> contextlib.AbstractContextManager:
    return contextlib.nullcontext()


@defined_by(forgetting_definition)
def forgetting(x: Tensor, again: Callable[[], Tensor]) -> contextlib.AbstractContextManager:
    """Within this context, operations that would keep x for their gradient make it again.

    Memory is that of what ``again`` reads, which should be kept anyway, and the gradient takes one
    more call of it. Compiled code decides by itself what to keep.

    Args:
        x (Tensor): What is not to be kept.
        again (callable): Makes x once more, to the same bits.
    """
    if not torch.is_grad_enabled():
        return contextlib.nullcontext()
    place, number = x.data_ptr(), x.numel()

    def pack(saved: Tensor) -> Tensor | torch.Size:
        is_x = saved.data_ptr() == place and saved.numel() == number and saved.is_contiguous()
        return saved.shape if is_x else saved

    def unpack(saved: Tensor | torch.Size) -> Tensor:
        if isinstance(saved, Tensor):
            return saved
        with torch.no_grad():
            return again().reshape(saved)

    return torch.autograd.graph.saved_tensors_hooks(pack, unpack)


PullBack = Callable[[Tensor, Sequence[Tensor]], Sequence[OptTensor]]


def recomputed(value: Tensor, tensors: Sequence[Tensor], pull_back: PullBack) -> Tensor:
    """A value, made of tensors without keeping anything, whose gradient makes anew what it needs.

    By definition it is the value as autograd would have made it, but for second derivatives, which
    it has not.

    Args:
        value (Tensor): The value; it has no gradient of its own.
        tensors (list of Tensor): What it was made of.
        pull_back (callable): ``pull_back(grad, tensors)``: the gradient of each of the tensors
            (None: none), given that of the value. It must not hold on to the tensors itself.
    """
    return _Recomputed.apply(pull_back, value, *tensors)


class _Recomputed(torch.autograd.Function):
    @staticmethod
    def forward(ctx, pull_back: PullBack, value: Tensor, *tensors: Tensor) -> Tensor:
        ctx.save_for_backward(*tensors)
        ctx.pull_back = pull_back
        return value.view_as(value)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad: Tensor):
        tensors = ctx.saved_tensors  # to be asked for once: checkpointing makes them anew
        found = zip(ctx.pull_back(grad, tensors), tensors, ctx.needs_input_grad[2:], strict=True)
        grads = (
            one.to(tensor.dtype) if needed and one is not None else None
            for one, tensor, needed in found
        )
        return None, None, *grads


def in_blocks(number: int, size: int, most: int) -> Iterator[slice]:
    """Cut so many rows of this size into blocks of at most ``most`` entries, or of one row."""
    step = max(most // max(size, 1), 1)
    for start in range(0, number, step):
        yield slice(start, min(start + step, number))
