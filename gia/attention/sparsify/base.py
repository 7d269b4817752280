"""What an attention graph asks of its sparsifier."""

from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias, get_args

import torch
from torch import Tensor, nn

from gia.graph.base import divisor
from gia.graph.pair_layout import PairLayout
from gia.typing import OptTensor

RowSum: TypeAlias = Callable[[Tensor], Tensor]
Weighting: TypeAlias = Literal["keep", "renormalize", "binary"]


class Sparsifier(nn.Module):
    """Chooses the edges of an attention graph and gives them weights.

    Attributes:
        drops (bool): Whether it leaves some candidates without an edge: then the graph is cheap to
            hold as a list.
        smooth (bool): Whether weights go through a function that rounds, such as a sigmoid. On
            lists of edges its last bit can depend on how long the list is, and so on later tokens:
            it is applied to all candidates, before any is dropped.
        published (bool): Whether an edge depends on more than its target's own candidates.
    """

    drops = True
    smooth = False
    published = False

    def keep(self, weight: Tensor, pairs: PairLayout) -> OptTensor:
        """Which candidates become edges; None: all. Nothing here has a gradient.

        Args:
            weight (Tensor): Attention's weights of the pairs; minus infinity where an earlier
                sparsifier left no edge.
            pairs (PairLayout): The candidates.
        """
        return None

    def forward(self, weight: Tensor, row_sum: RowSum) -> Tensor:
        """The weights of the edges, from attention's, element by element but for ``row_sum``.

        Args:
            weight (Tensor): Attention's weights, 0 where there is no edge.
            row_sum (callable): The sum over each target's edges, for each edge.
        """
        return weight

    def check(self, highest: float) -> None:
        """Raise a ValueError if no weight of at most ``highest`` could become an edge."""


class Selection(Sparsifier):
    """A sparsifier that leaves the weights of its edges as they are, or does without them.

    Args:
        weighting (str): ``"keep"``: the attention weight, through which a gradient reaches queries
            and keys; ``"renormalize"``: the same, divided by the sum of its absolute values over
            the target's edges; ``"binary"``: 1, as published, and no gradient.

    Raises:
        ValueError: If the weighting is unknown.
    """

    def __init__(self, weighting: Weighting = "keep"):
        super().__init__()
        if weighting not in get_args(Weighting):
            raise ValueError(
                f"weighting must be one of {', '.join(get_args(Weighting))}, got {weighting!r}"
            )
        self.weighting = weighting

    def forward(self, weight: Tensor, row_sum: RowSum) -> Tensor:
        if self.weighting == "binary":
            return torch.ones_like(weight)
        if self.weighting == "renormalize":
            return weight / divisor(row_sum(weight.abs()))
        return weight

    def extra_repr(self) -> str:
        return f"weighting={self.weighting}"


class Chain(Sparsifier):
    """Several sparsifiers, one after the other: an edge that one of them drops is not revived.

    Args:
        steps (list of Sparsifier): In order; each chooses by the weights that the ones before it
            made. Sums over a target's edges are of those that remain in the end.
    """

    def __init__(self, steps: Sequence[Sparsifier]):
        super().__init__()
        self.steps = nn.ModuleList(steps)
        self.drops = any(step.drops for step in steps)
        self.smooth = any(step.smooth for step in steps)
        self.published = any(step.published for step in steps)

    def keep(self, weight: Tensor, pairs: PairLayout) -> OptTensor:
        kept: OptTensor = None
        for step in self.steps:
            chosen = step.keep(weight, pairs)
            if chosen is not None:
                kept = chosen if kept is None else kept & chosen
            if kept is not None:
                weight = weight.masked_fill(~kept, 0)
            weight = step(weight, pairs.row_sum)
            if kept is not None:
                weight = weight.masked_fill(~kept, -torch.inf)
        return kept

    def forward(self, weight: Tensor, row_sum: RowSum) -> Tensor:
        for step in self.steps:
            weight = step(weight, row_sum)
        return weight

    def check(self, highest: float) -> None:
        for step in self.steps:
            step.check(highest)


def threshold_parameter(threshold: float, train_threshold: bool) -> nn.Parameter:
    """A threshold t on weights, fixed or trained.

    Raises:
        ValueError: If it is negative or not finite.
    """
    if not 0 <= threshold < float("inf"):
        raise ValueError(f"threshold must be finite and not negative, got {threshold}")
    return nn.Parameter(torch.tensor(float(threshold)), requires_grad=train_threshold)


def check_threshold(threshold: float, highest: float) -> None:
    """Raise a ValueError if no weight of at most ``highest`` is above the threshold."""
    if threshold >= highest:
        raise ValueError(
            f"threshold must be below {highest:g}, which no weight exceeds, got {threshold}"
        )
