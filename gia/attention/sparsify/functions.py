"""Functions of the weight above a threshold t, from the published code's table of modes.

All are those of `"Graph-Aware Isomorphic Attention" <https://arxiv.org/abs/2501.02393>`_. But for
:class:`ReLU` and ``relu`` below 1 they keep every candidate as an edge, of whatever weight.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import relu, silu, softplus

from gia.attention.sparsify.base import (
    RowSum,
    Sparsifier,
    check_threshold,
    threshold_parameter,
)
from gia.graph.pair_layout import PairLayout
from gia.typing import OptTensor

BELOW = {"silu": silu, "softplus": softplus, "relu": relu}


class Function(Sparsifier):
    """A function of a weight and the threshold alone.

    Args:
        threshold (float): Threshold t, from 0 to below the highest possible weight.
        train_threshold (bool): Whether t is trained, one a layer.

    Raises:
        ValueError: If the threshold is negative.
    """

    drops = False
    smooth = True

    def __init__(self, threshold: float = 0.2, *, train_threshold: bool = False):
        super().__init__()
        self.initial_threshold = threshold
        self.threshold = threshold_parameter(threshold, train_threshold)

    def reset_parameters(self) -> None:
        nn.init.constant_(self.threshold, self.initial_threshold)

    def check(self, highest: float) -> None:
        check_threshold(self.initial_threshold, highest)

    def extra_repr(self) -> str:
        return f"threshold={self.initial_threshold}"


class ReLU(Function):
    r""":math:`\max(A - t, 0)`; edges are the pairs with :math:`A > t`."""

    drops = True
    smooth = False

    def keep(self, weight: Tensor, pairs: PairLayout) -> Tensor:
        return ~(weight <= self.threshold)  # NaN is an edge, to be seen

    def forward(self, weight: Tensor, row_sum: RowSum) -> Tensor:
        return relu(weight - self.threshold)


class SiLU(Function):
    r""":math:`\mathrm{SiLU}(A - t)`: negative below the threshold."""

    def forward(self, weight: Tensor, row_sum: RowSum) -> Tensor:
        return silu(weight - self.threshold)


class Softplus(Function):
    r""":math:`\log(1 + e^{b (A - t)}) / b`.

    Args:
        sharpness (float): b; 10 is the published sharp form.
    """

    def __init__(
        self, threshold: float = 0.2, *, sharpness: float = 1.0, train_threshold: bool = False
    ):
        super().__init__(threshold, train_threshold=train_threshold)
        self.sharpness = sharpness

    def forward(self, weight: Tensor, row_sum: RowSum) -> Tensor:
        return softplus(weight - self.threshold, beta=self.sharpness)


class Sigmoid(Function):
    r""":math:`\sigma(b (A - t))`.

    Args:
        sharpness (float): b.
    """

    def __init__(
        self, threshold: float = 0.2, *, sharpness: float = 10.0, train_threshold: bool = False
    ):
        super().__init__(threshold, train_threshold=train_threshold)
        self.sharpness = sharpness

    def forward(self, weight: Tensor, row_sum: RowSum) -> Tensor:
        return (self.sharpness * (weight - self.threshold)).sigmoid()


class Flow(Function):
    r""":math:`\sigma(5 A) \, \sigma(50 (A - t))`."""

    def forward(self, weight: Tensor, row_sum: RowSum) -> Tensor:
        return (5 * weight).sigmoid() * (50 * (weight - self.threshold)).sigmoid()


class SiLUPlusBinary(Function):
    r""":math:`\mathrm{SiLU}(A - t) + c \, [A > t]`.

    Args:
        binary (float): c.
    """

    def __init__(
        self, threshold: float = 0.2, *, binary: float = 1.0, train_threshold: bool = False
    ):
        super().__init__(threshold, train_threshold=train_threshold)
        self.binary = binary

    def forward(self, weight: Tensor, row_sum: RowSum) -> Tensor:
        above = (weight > self.threshold).to(weight.dtype)
        return silu(weight - self.threshold) + self.binary * above


class BelowAbove(Function):
    r"""1 where :math:`A > t`, and :math:`f(A - t)` elsewhere.

    Args:
        below (str): f: ``"silu"``, ``"softplus"``, or ``"relu"``, which leaves no edge there.

    Raises:
        ValueError: If ``below`` is none of these.
    """

    def __init__(
        self, threshold: float = 0.2, *, below: str = "silu", train_threshold: bool = False
    ):
        super().__init__(threshold, train_threshold=train_threshold)
        if below not in BELOW:
            raise ValueError(f"below must be one of {', '.join(BELOW)}, got {below!r}")
        self.below = below
        self.drops = below == "relu"
        self.smooth = not self.drops

    def keep(self, weight: Tensor, pairs: PairLayout) -> OptTensor:
        return weight > self.threshold if self.drops else None

    def forward(self, weight: Tensor, row_sum: RowSum) -> Tensor:
        below = BELOW[self.below](weight - self.threshold)
        return torch.where(weight > self.threshold, torch.ones_like(weight), below)
