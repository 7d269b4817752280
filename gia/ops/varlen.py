"""Torch's attention kernel for ragged batches, where there is one."""

from inspect import signature

import torch
from torch import Tensor
from torch.nn.functional import pad

try:
    from torch.nn.attention.varlen import varlen_attn
except ImportError:  # torch before 2.10
    varlen_attn = None
# The one of torch 2.10 takes no scale.
HAS_RAGGED_KERNEL = varlen_attn is not None and "scale" in signature(varlen_attn).parameters


def has_varlen_kernel(q: Tensor) -> bool:
    """Whether torch has a kernel for ragged batches here: in half precision on an Ampere GPU."""
    if not HAS_RAGGED_KERNEL or not q.is_cuda or q.size(-1) > 256:
        return False
    half = q.dtype in (torch.float16, torch.bfloat16)
    return half and torch.cuda.get_device_capability(q.device) >= (8, 0)


def attend_varlen(
    q: Tensor, k: Tensor, x: Tensor, ptr: Tensor, length: int, *, causal: bool, scale: float
) -> Tensor:
    """Softmax attention over ragged sequences without padding, by torch's kernel for them.

    Args:
        q, k, x (Tensor): Queries, keys and values, ``[N, H, d]``.
        ptr (Tensor): Where each sequence begins, ``[B + 1]``.
        length (int): The longest.
        causal (bool): Whether a node sees itself and those before it, or all.
        scale (float): Of the scores.
    """
    channels, dtype = x.size(-1), x.dtype
    x = x.to(q.dtype)
    if channels % 8:  # it wants multiples
        q, k, x = (pad(t, (0, -channels % 8)) for t in (q, k, x))
    ptr = ptr.to(torch.int32)
    window = (-1, 0) if causal else (-1, -1)
    out = varlen_attn(q, k, x, ptr, ptr, length, length, scale=scale, window_size=window)
    return out[..., :channels].to(dtype)
