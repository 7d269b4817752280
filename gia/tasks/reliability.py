"""How far what is said of errors is true, on targets that are known."""

import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F
from torchmetrics.functional.classification import multiclass_calibration_error

BINS = 15  # of probabilities, as Guo et al. have it
LEVELS = [share / 20 for share in range(1, 20)]  # confidences of intervals
SMALLEST = 1e-30  # a probability whose logarithm is finite in single precision

Interval: TypeAlias = Callable[[float], tuple[Tensor, Tensor]]
"""Lower and upper ends ``[R, T]`` at a confidence."""


def of_numbers(
    target: Tensor, mean: Tensor, std: Tensor, interval: Interval, confidence: float
) -> dict[str, Tensor]:
    r"""Of each target the negative log-likelihood of a normal distribution in nats (``nll``), the
    share of targets in their intervals (``coverage``), how wide these are (``width``), and the
    expected calibration error (``ece``): how far the coverage is from the confidence, in the mean
    over confidences from 5 to 95 % (`Kuleshov et al., 2018 <https://arxiv.org/abs/1807.00263>`_).

    Shapes:
        - **target, mean, std:** ``[R, T]``; a missing target is NaN
        - **each result:** ``[T]``; NaN where nothing is known
    """
    lower, upper = interval(confidence)
    error, levels = (target - mean) / std, torch.tensor(LEVELS)[:, None]
    likelihoods = error.square() / 2 + std.log() + math.log(2 * math.pi) / 2
    return {
        "nll": _mean(likelihoods, target),
        "ece": (coverages(target, interval) - levels).abs().mean(0),
        "coverage": coverage(target, lower, upper),
        "width": _mean(upper - lower, target),
    }


def of_classes(target: Tensor, probability: Tensor, sizes: Sequence[int]) -> dict[str, Tensor]:
    """Of each target the negative log-likelihood in nats (``nll``), and the expected calibration
    error (``ece``): how far the probability of the likeliest class is from how often it is the true
    one, over 15 bins (`Guo et al., 2017 <https://arxiv.org/abs/1706.04599>`_).

    Shapes:
        - **target:** ``[R, T]``
        - **probability:** ``[R, T, C]``; the first of ``sizes`` count
        - **each result:** ``[T]``; NaN where nothing is known
    """
    found = []
    for t, size in enumerate(sizes):
        known = ~target[:, t].isnan()
        y, said = target[known, t].long(), probability[known, t, :size].double()
        if known.any():
            nll = F.nll_loss(said.clamp(min=SMALLEST).log(), y)
            found.append((nll, multiclass_calibration_error(said, y, size, n_bins=BINS)))
        else:
            found.append((torch.tensor(math.nan), torch.tensor(math.nan)))
    nll, ece = (torch.stack(values).double() for values in zip(*found, strict=True))
    return {"nll": nll, "ece": ece}


def normal(mean: Tensor, std: Tensor) -> Interval:
    """The central intervals of normal distributions."""

    def interval(confidence: float) -> tuple[Tensor, Tensor]:
        half = std * torch.special.ndtri(torch.tensor((1 + confidence) / 2))
        return mean - half, mean + half

    return interval


def coverage(target: Tensor, lower: Tensor, upper: Tensor) -> Tensor:
    """Which share of the known targets lies in its interval, ``[T]``; NaN where nothing is known.

    Shapes:
        - **target, lower, upper:** ``[R, T]``
    """
    inside = ((lower <= target) & (target <= upper)).double()
    return _mean(inside.masked_fill(lower.isnan(), math.nan), target)


def coverages(target: Tensor, interval: Interval) -> Tensor:
    """:func:`coverage` at each of :data:`LEVELS`, ``[S, T]``."""
    return torch.stack([coverage(target, *interval(level)) for level in LEVELS])


def named(
    metrics: dict[str, Tensor], target_names: Sequence[str], learned: Tensor
) -> dict[str, float]:
    """Each metric as its mean over the calibrated targets, and of several also by target."""
    found = {}
    for metric, values in metrics.items():
        values = values.masked_fill(~learned, math.nan)
        found[metric] = float(values.nanmean())
        if len(target_names) > 1:
            pairs = zip(target_names, values.tolist(), strict=True)
            found |= {f"{metric}/{name}": value for name, value in pairs}
    return found


def _mean(values: Tensor, target: Tensor) -> Tensor:
    return values.double().masked_fill(target.isnan(), math.nan).nanmean(0)
