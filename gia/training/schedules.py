"""Learning-rate schedules, stepped with every optimiser step."""

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


def constant(optimizer: Optimizer, *, warmup_steps: int, total_steps: int) -> LambdaLR:
    """Linear warm-up, then constant.

    Args:
        optimizer (Optimizer): Its ``lr`` is the highest rate.
        warmup_steps (int): Steps until the highest rate.
        total_steps (int): Steps of the whole run; no effect here.
    """
    return LambdaLR(optimizer, lambda step: _warmup(step, warmup_steps))


def cosine(
    optimizer: Optimizer, *, warmup_steps: int, total_steps: int, final: float = 0.1
) -> LambdaLR:
    """Linear warm-up, then half a cosine down to a fraction of the highest rate.

    Args:
        optimizer (Optimizer): Its ``lr`` is the highest rate.
        warmup_steps (int): Steps until the highest rate.
        total_steps (int): Steps of the whole run, where the lowest rate is reached.
        final (float): The lowest rate as a fraction of the highest.
    """

    def factor(step: int) -> float:
        progress = (step - warmup_steps) / max(total_steps - warmup_steps, 1)
        progress = min(max(progress, 0.0), 1.0)
        return _warmup(step, warmup_steps) * (
            final + (1 - final) * (1 + math.cos(math.pi * progress)) / 2
        )

    return LambdaLR(optimizer, factor)


def _warmup(step: int, warmup_steps: int) -> float:
    return min(1.0, (step + 1) / max(warmup_steps, 1))
