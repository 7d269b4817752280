"""Edges above a weight."""

from torch import Tensor, nn

from gia.attention.sparsify.base import (
    Selection,
    Weighting,
    check_threshold,
    threshold_parameter,
)
from gia.graph.pair_layout import PairLayout


class Threshold(Selection):
    """Edges are the pairs whose attention weight is above t.

    With ``weighting="binary"`` this is the published mode ``binary``.

    Args:
        threshold (float): Threshold t, from 0 to below the highest possible weight. It is not
            trained: nothing that comes out depends on it smoothly.
        weighting (str): As in :class:`~gia.attention.sparsify.Selection`.
    """

    def __init__(self, threshold: float = 0.2, *, weighting: Weighting = "keep"):
        super().__init__(weighting)
        self.initial_threshold = threshold
        self.threshold = threshold_parameter(threshold, False)

    def reset_parameters(self) -> None:
        nn.init.constant_(self.threshold, self.initial_threshold)

    def keep(self, weight: Tensor, pairs: PairLayout) -> Tensor:
        return ~(weight <= self.threshold)  # NaN is an edge, to be seen

    def check(self, highest: float) -> None:
        check_threshold(self.initial_threshold, highest)
