"""No scores at all: for graphs that do not look at their nodes."""

from dataclasses import dataclass

from torch import Tensor

from gia.attention.scope import Scope
from gia.attention.score.base import Score, Scores
from gia.graph.pair_layout import PairLayout
from gia.typing import OptTensor


@dataclass(frozen=True)
class Constant(Scores):
    """The same score, 0, for all pairs."""

    zero: Tensor
    heads: int = 1

    def on(self, pairs: PairLayout) -> Tensor:
        return self.zero.expand(pairs.shape)

    def times(self, factor: Tensor | float) -> "Constant":
        return self


class ConstantScore(Score):
    """No queries and no keys: with a softmax, every node attends to all it sees alike.

    An ablation: what is left of a layer when its attention no longer chooses.

    Args:
        in_channels (int): Channels D of a node, as for the other scores.
        heads (int): Heads H.

    Shapes:
        - **x:** ``[N, D]``
    """

    def __init__(self, in_channels: int, heads: int):
        super().__init__()
        self.heads = heads

    def forward(self, x: Tensor, rotary: OptTensor = None, scope: Scope | None = None) -> Constant:
        return Constant(x.new_zeros(()), self.heads)
