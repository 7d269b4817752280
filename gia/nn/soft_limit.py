"""Scaled numbers without outliers."""

import torch
from torch import Tensor

LIMIT = 3.0  # spreads, which no number reaches


def soft_limit(u: Tensor, limit: float = LIMIT) -> Tensor:
    r""":math:`u / \sqrt{1 + (u / l)^2}`: nearly u where it is small, and never as large as l.

    As `RealMLP <https://arxiv.org/abs/2407.04491>`_ does with its inputs, equation 2. What training
    has hardly ever seen, such as a feature that is 0 but for a few nodes, is many spreads away
    where it is seen, and would rule whatever is made of it.

    Args:
        u (Tensor): Numbers in spreads from their centre, of any shape.
        limit (float): l.
    """
    # The hypotenuse, since the square of a far outlier would be infinite.
    return u / torch.hypot(torch.ones_like(u), u / limit)
