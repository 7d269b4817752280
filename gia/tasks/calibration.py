"""From what a model says to what can be relied on: learned on targets that taught it nothing."""

import math
from typing import Any

import torch
from scipy.optimize import minimize_scalar
from torch import Tensor
from torch.nn import functional as F

from gia.typing import OptTensor

FEWEST = 20  # known values of a target, from which something can be learned
CONFIDENCE = 0.9
FLOORS = torch.linspace(0.1, 1, 20, dtype=torch.double).square()  # from 0.01
TEMPERATURES = (0.05, 20.0)


class Calibration:
    """What is learned of each target apart. One of which too little is known stays as it was.

    Args:
        known (Tensor): How many values of each target there were, ``[T]``.
    """

    def __init__(self, known: Tensor):
        self.known = known

    @property
    def learned(self) -> Tensor:
        """Which targets are calibrated, ``[T]``."""
        return self.known >= FEWEST

    def state(self) -> dict[str, Any]:
        """Tensors and plain values, of which :func:`from_state` makes the same again."""
        return {"kind": type(self).__name__, **vars(self)}


class Intervals(Calibration):
    r"""Standard deviations that fit the errors, and intervals that hold a chosen share of targets.

    The variance of an error is :math:`\hat\sigma^2 = a \sigma^2 + b`, where :math:`\sigma` is what
    the model says of its uncertainty, and a and b maximise the likelihood of the errors
    (`Hirschfeld et al., 2020 <https://arxiv.org/abs/2005.10036>`_): how far members of an ensemble
    differ says nothing of the noise that none of them can learn. A model that says nothing has b.

    Intervals are split conformal (`Lei et al., 2018 <https://arxiv.org/abs/1604.04173>`_): with
    scores :math:`s_i = |y_i - \mu_i| / \hat\sigma_i` of n known targets, the interval at confidence
    c is :math:`\mu \pm q \hat\sigma` with the :math:`\lceil (n + 1) c \rceil`-th smallest score as
    q. A target that is drawn as those were lies in it in a share c of all cases, however bad the
    model is; that a and b are of the same n targets takes less than 1 % off from 50 targets on. The
    quantiles l and u of a model that gives some are moved by the scores :math:`\max(l_i - y_i, y_i
    - u_i)` instead (`Romano et al., 2019 <https://arxiv.org/abs/1905.03222>`_).

    Args:
        known (Tensor): n of each target.
        scores (Tensor): Ascending, NaN behind them.
        slope, floor (Tensor): a, and b in squared units of the target.

    Shapes:
        - **known, slope, floor:** ``[T]``
        - **scores:** ``[R, T]``
    """

    def __init__(self, known: Tensor, scores: Tensor, slope: Tensor, floor: Tensor):
        super().__init__(known)
        self.scores, self.slope, self.floor = scores, slope, floor

    @classmethod
    def fit(
        cls,
        target: Tensor,
        mean: Tensor,
        std: OptTensor = None,
        quantiles: tuple[Tensor, Tensor] | None = None,
    ) -> "Intervals":
        """Learn from predictions in physical units.

        Args:
            target (Tensor): NaN where missing.
            mean, std (Tensor): What was predicted, and what the model says of its uncertainty.
            quantiles (tuple, optional): Its own interval.

        Shapes:
            - **target, mean, std, each quantile:** ``[R, T]``
        """
        target, mean = target.double(), mean.double()
        known = ~target.isnan()
        variances = [
            _variance(target[rows, t] - mean[rows, t], None if std is None else std[rows, t])
            for t, rows in enumerate(known.T)
        ]
        slope, floor = torch.tensor(variances, dtype=torch.double).T
        found = cls(known.sum(0), target, slope, floor)
        lower, upper, unit = found._base(mean, std, quantiles)
        scores = torch.maximum(lower - target, target - upper) / unit
        found.scores = scores.sort(0).values
        return found

    def margin(self, confidence: float) -> Tensor:
        """q of each target, ``[T]``: infinite where so few are known that no interval is wide
        enough, NaN where nothing is learned."""
        margins = []
        for number, learned, scores in zip(self.known, self.learned, self.scores.T, strict=True):
            rank = math.ceil(round((int(number) + 1) * confidence, 9))
            margin = math.inf if rank > number else float(scores[rank - 1])
            margins.append(margin if learned else math.nan)
        return torch.tensor(margins, dtype=torch.double)

    def std(self, std: OptTensor, mean: Tensor) -> Tensor:
        """Standard deviations of the errors, ``[R, T]``; the same for all rows without any."""
        variance = torch.zeros_like(mean) if std is None else self.slope * std.square()
        return (variance + self.floor).sqrt().clamp(min=torch.finfo(torch.float32).tiny)

    def __call__(
        self,
        mean: Tensor,
        std: OptTensor = None,
        quantiles: tuple[Tensor, Tensor] | None = None,
        *,
        confidence: float = CONFIDENCE,
    ) -> tuple[Tensor, Tensor]:
        """Lower and upper ends, ``[R, T]`` each, with the prediction between them."""
        mean = mean.double()
        lower, upper, unit = self._base(mean, std, quantiles)
        margin = self.margin(confidence) * unit
        return torch.minimum(lower - margin, mean), torch.maximum(upper + margin, mean)

    def _base(
        self, mean: Tensor, std: OptTensor, quantiles: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """An interval to be widened, and in which unit."""
        if quantiles is None:
            return mean, mean, self.std(std, mean)
        lower, upper = quantiles
        return lower.double(), upper.double(), torch.ones_like(mean)


class Temperature(Calibration):
    r"""Probabilities that are neither too sure nor too vague: :math:`\mathrm{softmax}(\log p /
    \tau)`, with one :math:`\tau` for each target (`Guo et al., 2017
    <https://arxiv.org/abs/1706.04599>`_).

    One number can be learned from few rows, where isotonic regression, whose steps are as free as
    the data, is the worse one below about a thousand (`Niculescu-Mizil and Caruana, 2005
    <https://doi.org/10.1145/1102351.1102430>`_). It leaves the likeliest class, and the order of
    rows by the probability of one of two classes, as they were, and with it the AUROC. What is
    fitted are smoothed targets (Platt, 1999), :math:`1 - 1 / (n_c + 2)` for a class of
    :math:`n_c` rows, so that twenty rows which are all right make nothing certain.

    Args:
        known (Tensor): How many values of each target there were.
        temperature (Tensor): :math:`\tau`; NaN where nothing is learned.

    Shapes:
        - **known, temperature:** ``[T]``
    """

    def __init__(self, known: Tensor, temperature: Tensor):
        super().__init__(known)
        self.temperature = temperature

    @classmethod
    def fit(cls, target: Tensor, probability: Tensor, sizes: list[int]) -> "Temperature":
        """Learn from probabilities.

        Args:
            target (Tensor): Index of the class, NaN where missing.
            probability (Tensor): Of each class.
            sizes (list of int): How many classes each target has.

        Shapes:
            - **target:** ``[R, T]``
            - **probability:** ``[R, T, C]``
        """
        known = ~target.isnan()
        found = [
            _temperature(probability[rows, t, :size], target[rows, t].long())
            for t, (rows, size) in enumerate(zip(known.T, sizes, strict=True))
        ]
        return cls(known.sum(0), torch.tensor(found, dtype=torch.double))

    @property
    def learned(self) -> Tensor:
        return ~self.temperature.isnan()

    def __call__(self, probability: Tensor) -> Tensor:
        """Calibrated probabilities, ``[R, T, C]``; a class of probability 0 keeps it."""
        probability = probability.double()
        scaled = (probability.log() / self.temperature[:, None]).softmax(-1)
        return torch.where(self.learned[:, None], scaled, probability)


def from_state(state: dict[str, Any]) -> Calibration:
    """What :meth:`Calibration.state` describes.

    Raises:
        TypeError, KeyError: If it is none.
    """
    kinds = {kind.__name__: kind for kind in (Intervals, Temperature)}
    return kinds[state["kind"]](**{key: value for key, value in state.items() if key != "kind"})


def needed(confidence: float) -> int:
    """The fewest known targets that give an interval of such a confidence an end."""
    return math.ceil(round(confidence / (1 - confidence), 9))


def check_confidence(confidence: Any) -> float:
    """See that intervals can have a confidence.

    Raises:
        ValueError: If it is no number above 0 and below 1.
    """
    number = isinstance(confidence, (int, float)) and not isinstance(confidence, bool)
    if not (number and 0 < confidence < 1):
        raise ValueError(f"confidence must be above 0 and below 1, such as 0.9, got {confidence!r}")
    return confidence


def _variance(error: Tensor, std: OptTensor) -> tuple[float, float]:
    """a and b of one target, whose likelihood is the largest."""
    variance = None if std is None else std.double().square()
    if len(error) < FEWEST:
        return (0.0, math.nan) if variance is None else (1.0, 0.0)
    squares = error.square()
    if variance is None or not variance.mean() > 0:
        return 0.0, float(squares.mean())
    # For each share that b has of the variance in the mean, the best scale is known.
    floors = FLOORS[:, None]
    shapes = (1 - floors) * variance / variance.mean() + floors  # [S, n]
    scales = (squares / shapes).mean(1)
    best = int((scales.log() + shapes.log().mean(1)).argmin())
    scale, floor = float(scales[best]), float(FLOORS[best])
    return scale * (1 - floor) / float(variance.mean()), scale * floor


def _temperature(probability: Tensor, target: Tensor) -> float:
    """:math:`\\tau` of one target, whose cross entropy is the least."""
    classes = probability.size(1)
    counts = target.bincount(minlength=classes)
    if len(target) < FEWEST or (counts > 0).sum() < 2:
        return math.nan
    wrong = 1 / (counts[target].double() + 2)
    goal = (wrong / (classes - 1))[:, None].repeat(1, classes)
    goal.scatter_(1, target[:, None], 1 - wrong[:, None])
    # A probability that is 0 in single precision is small, not impossible.
    logs = probability.double().clamp(min=torch.finfo(torch.float32).tiny).log()

    def entropy(log_temperature: float) -> float:
        return float(F.cross_entropy(logs / math.exp(log_temperature), goal))

    bounds = tuple(map(math.log, TEMPERATURES))
    return math.exp(minimize_scalar(entropy, bounds=bounds, method="bounded").x)
