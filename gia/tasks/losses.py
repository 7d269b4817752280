"""Losses over the targets that are known; NaN marks a missing one."""

from torch import Tensor
from torch.nn.functional import cross_entropy

MISSING = -100  # what cross_entropy leaves out


def masked_mse(output: Tensor, target: Tensor) -> Tensor:
    """Mean squared error over the known targets; 0, with a gradient of 0, where there is none.

    Args:
        output (Tensor): Predictions.
        target (Tensor): What they should be, or NaN.

    Shapes:
        - **output, target:** ``[..., T]``
        - **result:** ``[]``

    Raises:
        ValueError: If their shapes differ.
    """
    if output.shape != target.shape:  # they would be broadcast
        raise ValueError(f"there are {list(output.shape)} outputs for {list(target.shape)} targets")
    known = ~target.isnan()
    # Without multiplying by the mask: NaN * 0 is NaN.
    squared = (output - target).masked_fill(~known, 0).square()
    return squared.sum() / known.sum().clamp(min=1)


def masked_cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Cross entropy over the known targets; 0, with a gradient of 0, where there is none.

    Args:
        logits (Tensor): Scores of the C classes.
        target (Tensor): The index of the class as a float, or NaN.

    Shapes:
        - **logits:** ``[..., T, C]``
        - **target:** ``[..., T]``
        - **result:** ``[]``
    """
    known = ~target.isnan()
    index = target.nan_to_num(MISSING).long().flatten()
    total = cross_entropy(
        logits.reshape(-1, logits.size(-1)), index, ignore_index=MISSING, reduction="sum"
    )
    return total / known.sum().clamp(min=1)
