"""Copies of a block that do not start alike."""

import copy

from torch import nn


def copies(block: nn.Module, depth: int) -> nn.ModuleList:
    """A stack of ``depth`` copies of a block, each initialised anew.

    Raises:
        ValueError: If ``depth`` is below 1.
    """
    if depth < 1:
        raise ValueError(f"depth must be at least 1, got {depth}")
    blocks = nn.ModuleList(copy.deepcopy(block) for _ in range(depth))
    for number, copied in enumerate(blocks, start=1):
        modules = list(copied.modules())
        for module in modules:
            if hasattr(module, "layer"):
                module.layer = number
            if hasattr(module, "reset_parameters"):
                module.reset_parameters()
        for module in modules:
            if isinstance(module, nn.MultiheadAttention):  # torch has no public name for it
                module._reset_parameters()
    return blocks
