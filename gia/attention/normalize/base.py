"""What an attention graph asks of its normaliser."""

from abc import abstractmethod

from torch import Tensor, nn

from gia.attention.score import Scores
from gia.graph.pair_layout import PairLayout
from gia.typing import OptTensor


class Normalizer(nn.Module):
    """Turns the scores of each row's candidates into weights: ``normalize(scores, pairs)``.

    Attributes:
        maps (int): How many maps of scores it takes.
        is_softmax (bool): Whether it is what fused kernels compute: a softmax of scaled scores.
        highest (float): No weight is above this.
        drops (bool): Whether it leaves some candidates without an edge.
        published (bool): Whether a weight depends on more than its target's own candidates.
    """

    maps = 1
    is_softmax = False
    highest = 1.0
    drops = False
    published = False

    def scale(self, scores: Scores) -> Scores:
        """Factors that belong to the scores, such as sharpening."""
        return scores

    @abstractmethod
    def forward(self, *scores: Tensor, pairs: PairLayout) -> Tensor:
        """Weights of the pairs, 0 where there is no candidate."""

    def keep(self, weight: Tensor) -> OptTensor:
        """Which candidates become edges; None: all."""
        return None
