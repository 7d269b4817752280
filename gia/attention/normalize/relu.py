"""Weights that are scores themselves, where these are positive."""

import math

from torch import Tensor

from gia.attention.normalize.base import Normalizer
from gia.graph.pair_layout import PairLayout


class ReLU(Normalizer):
    r"""No softmax: :math:`A = \max(S, 0)`; a pair is an edge where its score is positive.

    From `"Graph-Aware Isomorphic Attention" <https://arxiv.org/abs/2501.02393>`_.
    """

    highest = math.inf
    drops = True

    def forward(self, scores: Tensor, *, pairs: PairLayout) -> Tensor:
        weight = scores.relu()
        return pairs.fill(weight, 0.0)

    def keep(self, weight: Tensor) -> Tensor:
        return ~(weight <= 0)  # NaN is an edge, to be seen
