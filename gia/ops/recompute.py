"""Tensors that are cheaper to make again for the gradient than to keep."""

import contextlib
from collections.abc import Callable

import torch
from torch import Tensor


def forgetting(x: Tensor, again: Callable[[], Tensor]) -> contextlib.AbstractContextManager:
    """Within this context, operations that would keep x for their gradient make it again.

    Memory is that of what ``again`` reads, which should be kept anyway, and the gradient takes one
    more call of it. Compiled code decides by itself what to keep.

    Args:
        x (Tensor): What is not to be kept.
        again (callable): Makes x once more, to the same bits.
    """
    if torch.compiler.is_compiling() or not torch.is_grad_enabled():
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
