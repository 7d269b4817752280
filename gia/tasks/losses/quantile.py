"""Quantiles: below which number a target lies in how many cases."""

from collections.abc import Sequence

import torch
from torch import Tensor

from gia.tasks.losses.base import NumberLoss


class Quantile(NumberLoss):
    r"""The pinball loss of several quantiles (`Koenker and Bassett, 1978
    <https://doi.org/10.2307/1913643>`_), in the mean over the levels :math:`\tau_k`,

    .. math::
        \ell(\mathbf{o}, z) = \frac{1}{K} \sum_k \max(\tau_k (z - o_k), (\tau_k - 1) (z - o_k)).

    The numbers of a target are sorted, so that no quantile crosses another. The middle one is the
    prediction, the outer two are its interval.

    Args:
        levels (list of float): :math:`\tau_k`, an odd number of them, ascending.

    Raises:
        ValueError: If these are no such levels.
    """

    def __init__(self, levels: Sequence[float] = (0.05, 0.5, 0.95)):
        super().__init__()
        self.levels = [float(level) for level in levels]
        ascending = self.levels == sorted(set(self.levels))
        if not (self.levels and ascending and self.levels[0] > 0 and self.levels[-1] < 1):
            raise ValueError(
                f"loss.levels must be ascending numbers between 0 and 1, got {self.levels}"
            )
        if len(self.levels) % 2 == 0:
            raise ValueError(
                f"loss.levels={self.levels}: the middle level is the prediction, so that their "
                "number must be odd, as of [0.05, 0.5, 0.95]"
            )
        self.channels = len(self.levels)
        self.name = f"pinball loss of {', '.join(f'{level:g}' for level in self.levels)}"
        self.name += ", normalised"
        self.constant_name = "quantiles of training"

    def activate(self, raw: Tensor) -> Tensor:
        return raw.sort(-1).values

    def terms(self, output: Tensor, target: Tensor) -> Tensor:
        error, level = target - output, output.new_tensor(self.levels)
        # The absolute error has no gradient at 0, where a bound is kept.
        return (error.abs() * torch.where(error > 0, level, 1 - level)).mean(-1)

    def within(self, output: Tensor, lower: Tensor, upper: Tensor) -> Tensor:
        """The middle one is held, and the others keep their distances to it."""
        middle = self.predicted(output)
        return output + (middle.clamp(lower, upper) - middle)[..., None]

    def predicted(self, output: Tensor) -> Tensor:
        return output[..., self.channels // 2]

    def interval(self, output: Tensor) -> tuple[Tensor, Tensor] | None:
        return None if self.channels == 1 else (output[..., 0], output[..., -1])

    def constant(self, target: Tensor) -> Tensor:
        return target.nanquantile(target.new_tensor(self.levels), dim=0).T.nan_to_num()
