"""From scores to weights."""

from collections.abc import Sequence

import torch
from torch import nn

from gia.adjacency.cached import CachedSoftmax, Memory
from gia.adjacency.fused import FusedSoftmax
from gia.adjacency.scope import Scope
from gia.adjacency.score import DotProduct, LazyDotProduct


class Softmax(nn.Module):
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

    def __init__(
        self,
        *,
        temperature: float = 1.0,
        sharpening: float | Sequence[float] = 1.0,
        train_sharpening: bool = True,
    ):
        super().__init__()
        if temperature <= 0:
            raise ValueError(f"temperature must be above 0, got {temperature}")
        self.temperature = temperature
        self.initial_sharpening = sharpening
        self.sharpening = nn.Parameter(torch.empty(()), requires_grad=train_sharpening)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        start = self.initial_sharpening
        low, high = (start, start) if isinstance(start, (int, float)) else start
        nn.init.uniform_(self.sharpening, low, high)

    def forward(
        self, scores: DotProduct | LazyDotProduct, scope: Scope, memory: Memory | None = None
    ) -> FusedSoftmax:
        scores = scores.times(self.sharpening / self.temperature)
        if memory is not None:
            return CachedSoftmax(scores, scope, memory)
        return FusedSoftmax(scores, scope)

    def extra_repr(self) -> str:
        return f"temperature={self.temperature}, sharpening={self.initial_sharpening}"
