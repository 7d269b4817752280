"""Equal parameter counts, so that variants are compared and not their sizes."""

from collections.abc import Callable

import torch
from torch import nn


def count_parameters(model: nn.Module) -> int:
    """Number of trainable parameters; shared ones count once."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def match_width(build: Callable[[int], nn.Module], target: int, *, tolerance: float = 0.01) -> int:
    """Find the MLP width at which a model has a given number of parameters.

    Args:
        build (callable): ``build(width)`` makes the model; its size must grow with the width. It is
            called on the meta device, so nothing is allocated.
        target (int): Parameters wanted.
        tolerance (float): Largest relative difference allowed.

    Returns:
        The width that comes closest.

    Raises:
        ValueError: If no width comes within the tolerance, or none changes the size.
    """

    def size(width: int) -> int:
        with torch.device("meta"):
            return count_parameters(build(width))

    low, high = 1, 2
    while size(high) < target:
        if high > target:
            raise ValueError(
                f"the MLP's width does not change this model, of {size(high):,} parameters: its "
                "size cannot be matched"
            )
        low, high = high, 2 * high
    while high - low > 1:  # size(low) <= target <= size(high), unless even width 1 is too large
        middle = (low + high) // 2
        low, high = (middle, high) if size(middle) <= target else (low, middle)
    best = min((low, high), key=lambda width: abs(size(width) - target))
    if abs(size(best) - target) > tolerance * target:
        raise ValueError(
            f"no MLP width brings this model to {target:,} parameters within {tolerance:.0%}: the "
            f"closest is {size(best):,} at width {best}; make the attention smaller or the "
            "reference larger"
        )
    return best
