"""Equal weights."""

from torch import Tensor

from gia.attention.normalize.base import Normalizer
from gia.graph.pair_layout import PairLayout


class Uniform(Normalizer):
    r"""Every candidate counts the same, :math:`A_{ij} = 1 / |\mathcal{N}(i)|`, whatever its score.

    An ablation: what is left of a layer when its attention no longer chooses.
    """

    def forward(self, scores: Tensor, *, pairs: PairLayout) -> Tensor:
        weight = (1 / pairs.count().clamp(min=1).to(scores.dtype)).expand(scores.shape)
        return pairs.fill(weight, 0.0)
