"""Distances in radial basis functions."""

import torch
from torch import Tensor


def gaussians(distance: Tensor, cutoff: float, number: int) -> Tensor:
    """Gaussians of distances, evenly from 0 to ``cutoff``, a step wide each.

    As `CGCNN <https://doi.org/10.1103/PhysRevLett.120.145301>`_ has them.

    Args:
        distance: in the unit of ``cutoff``.
        cutoff: the center of the last.
        number: of Gaussians R, at least 2.

    Shapes:
        distance: [E]
        returns: [E, R]
    """
    centers = torch.linspace(0, cutoff, number)
    step = cutoff / (number - 1)
    return torch.exp(-(((distance.unsqueeze(1) - centers) / step) ** 2))
