"""Copies of a block that do not start alike."""

import copy
from collections.abc import Sequence

from torch import nn


def copies(block: nn.Module | Sequence[nn.Module], depth: int) -> list[nn.Module]:
    """``depth`` copies of a block, or of several blocks in their order, each initialised anew.

    What a part knows as its ``layer`` becomes the number of its block, counted from 1.

    Raises:
        ValueError: If ``depth`` is below 1, or there is no block.
    """
    blocks = [block] if isinstance(block, nn.Module) else list(block)
    if depth < 1:
        raise ValueError(f"depth must be at least 1, got {depth}")
    if not blocks:
        raise ValueError("a stack needs at least one block, got an empty list")
    copied = [copy.deepcopy(one) for _ in range(depth) for one in blocks]
    for number, one in enumerate(copied, start=1):
        for module in one.modules():
            if hasattr(module, "layer"):
                module.layer = number
        begin_anew(one)
    return copied


def begin_anew(module: nn.Module) -> None:
    """Initialise all parts of a module, the inner ones first.

    What holds a part has the last word on how it starts: a weight that it sets to zero stays zero.
    """
    for child in module.children():
        begin_anew(child)
    if isinstance(module, nn.MultiheadAttention):  # torch has no public name for it
        module._reset_parameters()
    elif hasattr(module, "reset_parameters"):
        module.reset_parameters()
