"""Weights that are scores themselves, where these are positive."""

import math

from torch import Tensor

from gia.adjacency.normalize.base import Normalizer
from gia.adjacency.pairs import Pairs


class ReLU(Normalizer):
    r"""No softmax: :math:`A = \max(S, 0)`; a pair is an edge where its score is positive.

    From `"Graph-Aware Isomorphic Attention" <https://arxiv.org/abs/2501.02393>`_.
    """

    highest = math.inf
    drops = True

    def forward(self, scores: Tensor, *, pairs: Pairs) -> Tensor:
        weight = scores.relu()
        return pairs.fill(weight, 0.0)

    def keep(self, weight: Tensor) -> Tensor:
        return ~(weight <= 0)  # NaN is an edge, to be seen
