"""A normal distribution for each target: its mean, and how far off it may be."""

import torch
from torch import Tensor
from torch.nn import functional as F

from gia.tasks.losses.base import NumberLoss
from gia.tasks.scaler import TargetScaler


class Gaussian(NumberLoss):
    r"""The negative log-likelihood of a normal distribution whose mean :math:`\mu` and variance
    :math:`\sigma^2` the model gives (`Nix and Weigend, 1994
    <https://doi.org/10.1109/ICNN.1994.374138>`_),

    .. math::
        \ell = \tfrac{1}{2} \log 2 \pi \sigma^2 + \frac{(z - \mu)^2}{2 \sigma^2},

    and of a bound the probability to lie beyond it. In training each term is weighted by
    :math:`\sigma^{2 \beta}` without a gradient (`Seitzer et al., 2022
    <https://arxiv.org/abs/2203.09168>`_), so that targets which fit badly are learned as well; what
    is measured is the likelihood.

    Args:
        beta (float): :math:`\beta`; 0 is the plain likelihood, 1 learns the mean as squared errors
            do.
        min_std (float): The least :math:`\sigma`, in standard deviations of the training targets.

    Raises:
        ValueError: If one is out of range.
    """

    channels = 2  # the mean, and the standard deviation
    gives_std = True
    constant_name = "mean and spread of training"

    def __init__(self, beta: float = 0.5, min_std: float = 1e-3):
        super().__init__()
        if not 0 <= beta <= 1:
            raise ValueError(f"loss.beta must lie between 0 and 1, got {beta}")
        if not min_std > 0:
            raise ValueError(f"loss.min_std must be above 0, got {min_std}")
        self.beta, self.min_std = beta, min_std
        self.name = "negative log-likelihood, normalised, nats"

    def activate(self, raw: Tensor) -> Tensor:
        """The mean, and a standard deviation from a variance that a softplus makes positive."""
        mean, variance = raw.unbind(-1)
        std = (F.softplus(variance) + self.min_std**2).sqrt()
        return torch.stack([mean, std], -1)

    def inverse(self, output: Tensor, scaler: TargetScaler) -> Tensor:
        mean, std = output.unbind(-1)
        return torch.stack([scaler.inverse(mean), std * scaler.std], -1)

    def within(self, output: Tensor, lower: Tensor, upper: Tensor) -> Tensor:
        mean, std = output.unbind(-1)
        return torch.stack([mean.clamp(lower, upper), std], -1)

    def terms(self, output: Tensor, target: Tensor) -> Tensor:
        mean, std = output.unbind(-1)
        terms = F.gaussian_nll_loss(
            mean, target.squeeze(-1), std.square(), full=True, eps=self.min_std**2, reduction="none"
        )
        return self._weighted(terms, std)

    def bounded_terms(self, output: Tensor, bounds: Tensor) -> Tensor:
        mean, std = output.unbind(-1)
        lower, upper = bounds.unbind(-1)
        terms = _tail(upper, mean, std) + _tail(-lower, -mean, std)
        return self._weighted(terms, std)

    def std(self, output: Tensor) -> Tensor:
        return output[..., 1]

    def combine(self, outputs: Tensor) -> Tensor:
        """Mean and standard deviation of the members' mixture, by the law of total variance."""
        means, stds = outputs.unbind(-1)
        variance = stds.square().mean(0) + means.var(0, correction=0)
        return torch.stack([means.mean(0), variance.sqrt()], -1)

    def constant(self, target: Tensor) -> Tensor:
        mean = target.nanmean(0)
        std = (target - mean).square().nanmean(0).sqrt()
        return torch.stack([mean.nan_to_num(), std.nan_to_num().clamp(min=self.min_std)], -1)

    def _weighted(self, terms: Tensor, std: Tensor) -> Tensor:
        return terms * std.detach() ** (2 * self.beta) if self.training else terms


def _tail(upper: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Minus the log of the probability to lie below a bound; 0 where there is none."""
    there = upper.isfinite()
    distance = (upper.masked_fill(~there, 0) - mean) / std  # infinities would have no gradient
    return -torch.special.log_ndtr(distance).masked_fill(~there, 0)
