"""Softmax with trainable sharpening."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gia.attention.normalize.base import Normalizer
from gia.attention.score import Scores
from gia.graph.pair_layout import PairLayout
from gia.ops.softmax_gradient import softmax_gradient


class Softmax(Normalizer):
    r"""Softmax with trainable sharpening: :math:`A = \mathrm{softmax}(\alpha S / T)`.

    From `"Graph-Aware Isomorphic Attention" <https://arxiv.org/abs/2501.02393>`_. The support is
    the scope: no weight is exactly zero.

    Args:
        temperature (float): Fixed temperature T, above 0.
        sharpening (float or pair of floats): Start of :math:`\alpha`; a pair ``(low, high)`` draws
            it uniformly, so that layers start with different contrast.
        train_sharpening (bool): Whether :math:`\alpha` is trained.

    Raises:
        ValueError: If the temperature is not above 0.
    """

    is_softmax = True

    def __init__(
        self,
        *,
        temperature: float = 1.0,
        sharpening: float | Sequence[float] = 1.0,
        train_sharpening: bool = True,
    ):
        super().__init__()
        if not temperature > 0:
            raise ValueError(f"temperature must be above 0, got {temperature}")
        self.temperature = temperature
        self.initial_sharpening = sharpening
        self.sharpening = nn.Parameter(torch.empty(()), requires_grad=train_sharpening)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        start = self.initial_sharpening
        low, high = (start, start) if isinstance(start, (int, float)) else start
        nn.init.uniform_(self.sharpening, low, high)

    def scale(self, scores: Scores) -> Scores:
        factor = self.sharpening
        return scores.times(factor if self.temperature == 1 else factor / self.temperature)

    def forward(self, scores: Tensor, *, pairs: PairLayout) -> Tensor:
        return pairs.softmax(scores)

    def pull_back(self, weight: Tensor, kept: Tensor, grad: Tensor) -> Tensor:
        """The gradient of a block's scores, given that of some of its weights.

        Args:
            weight (Tensor): The weights, ``[B, H, R, C]``; overwritten.
            kept (Tensor): Which of them have a gradient, counted along that shape, ``[E']``.
            grad (Tensor): Their gradients, ``[E']``.
        """
        return softmax_gradient(weight, kept, grad)

    def extra_repr(self) -> str:
        return f"temperature={self.temperature}, sharpening={self.initial_sharpening}"
