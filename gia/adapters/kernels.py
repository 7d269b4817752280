"""Which pairs of tokens an attention kernel looks at, from what it is given."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from gia.typing import OptTensor

# Kernels that are given a mask of all pairs, or none where attention is causal and nothing else.
DENSE = ("sdpa", "eager")
# Kernels of continuous batching, whose keys lie in pages.
PAGED = "paged|"


def check_kernel(kernel: str) -> None:
    """See that attention can be observed.

    Args:
        kernel (str): Its name with transformers: ``"sdpa"``, ``"eager"``, ``"flex_attention"``,
            ``"flash_attention_2"`` and so on, or one that is registered there. What is registered
            has to be a softmax over scaled products of queries and keys.

    Raises:
        ValueError: If it cannot.
    """
    from transformers import AttentionInterface

    known = kernel in DENSE or kernel in AttentionInterface()
    if not known or kernel.startswith(PAGED):
        raise ValueError(
            f"attention computed by {kernel!r} cannot be observed: load the model with "
            "attn_implementation='sdpa', or go back to it by "
            "model.set_attn_implementation('sdpa')"
        )


def mask_of_pairs(
    kernel: str, query: Tensor, key: Tensor, mask: Any, arguments: Mapping[str, Any]
) -> OptTensor:
    """The mask of all pairs, ``[B or 1, 1 or H, Q, K]``; None where attention is plainly causal.

    Args:
        kernel (str): As for :func:`check_kernel`.
        query (Tensor): ``[B, H, Q, d]``.
        key (Tensor): ``[B, G, K, d]``.
        mask: What the kernel is given: such a mask, flex attention's ``BlockMask``, or which keys
            are no padding, ``[B, up to K]``.
        arguments (dict): What else it is given.
    """
    if kernel in DENSE or (isinstance(mask, Tensor) and mask.dim() == 4):
        return mask
    queries, keys = query.size(2), key.size(2)
    if hasattr(mask, "mask_mod"):
        from torch.nn.attention.flex_attention import create_mask

        return create_mask(mask.mask_mod, *mask.shape[:2], queries, keys, device=query.device)
    return _rebuilt(query, keys, mask, arguments)


def _rebuilt(
    query: Tensor, keys: int, padding: OptTensor, arguments: Mapping[str, Any]
) -> OptTensor:
    """What flash attention is told in other ways: padding, a window, and packed sequences."""
    queries, used = query.size(2), keys if padding is None else padding.size(1)
    window = arguments.get("sliding_window")
    window = window if window is not None and keys > window else None
    document = _documents(query, keys, arguments) if padding is None else None
    if padding is None and window is None and document is None:
        return None
    slot = torch.arange(keys, device=query.device)
    own = slot[used - queries : used].unsqueeze(1)
    allowed = slot <= own
    if window is not None:
        allowed = allowed & (own - slot < window)
    if document is not None:
        allowed = allowed & (document == document.unsqueeze(1))
    allowed = allowed[None, None]
    if padding is not None:  # of a static cache, slots that are not used yet lie behind it
        real = torch.nn.functional.pad(padding.bool(), (0, keys - used))
        allowed = allowed & real[:, None, None]
    return allowed


def _documents(query: Tensor, keys: int, arguments: Mapping[str, Any]) -> OptTensor:
    """Which of several packed sequences each token is of, ``[K]``; None if there is one."""
    starts, positions = arguments.get("cu_seq_lens_q"), arguments.get("position_ids")
    if starts is not None:
        return torch.bucketize(torch.arange(keys, device=query.device), starts[1:-1], right=True)
    if positions is None or query.size(0) > 1 or positions.size(-1) != keys:
        return None
    jumps = positions.flatten().diff() != 1
    if not bool(jumps.any()):
        return None
    return torch.nn.functional.pad(jumps.long(), (1, 0)).cumsum(0)
