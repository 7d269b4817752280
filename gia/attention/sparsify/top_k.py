"""The strongest edges of each node and head."""

import math

import torch
from torch import Tensor

from gia.attention.sparsify.base import Selection, Weighting
from gia.graph.pair_block import PairBlock
from gia.graph.pair_layout import PairLayout


class TopK(Selection):
    """Edges are the k candidates of each target and head with the largest weights.

    A target with fewer candidates keeps what there is; of equal weights the highest sources stay.

    Args:
        k (int, optional): How many.
        fraction (float, optional): In its place, the share of a target's candidates, rounded up.
        weighting (str): As in :class:`~gia.attention.sparsify.Selection`.
        published (bool): With ``fraction``, ``k = max(1, int(fraction * L))`` from the length L of
            the whole sequence, as in `"Graph-Aware Isomorphic Attention"
            <https://arxiv.org/abs/2501.02393>`_: later tokens then matter.

    Raises:
        ValueError: If there is not exactly one of ``k`` and ``fraction``, or it is out of range.
    """

    def __init__(
        self,
        k: int | None = None,
        *,
        fraction: float | None = None,
        weighting: Weighting = "keep",
        published: bool = False,
    ):
        super().__init__(weighting)
        if (k is None) == (fraction is None):
            raise ValueError(f"give either k or fraction, got k={k}, fraction={fraction}")
        if k is not None and (not isinstance(k, int) or k < 1):
            raise ValueError(f"k must be a whole number of at least 1, got {k!r}")
        check_fraction(fraction)
        if published and fraction is None:
            raise ValueError("published=True changes what a fraction is: use fraction")
        self.k, self.fraction, self.published = k, fraction, published

    def keep(self, weight: Tensor, pairs: PairLayout) -> Tensor:
        return pairs.top_k(weight, self._number(pairs))

    def _number(self, pairs: PairLayout) -> int | Tensor:
        if self.k is not None:
            return self.k
        if self.published:
            number = [max(1, int(self.fraction * size)) for size in pairs.sizes]
            return torch.tensor(number, device=pairs.device).view(-1, 1, 1, 1)
        return share(pairs.count(), self.fraction)

    def extra_repr(self) -> str:
        return f"k={self.k}, fraction={self.fraction}, {super().extra_repr()}"


class ScaledTopK(Selection):
    """Edges from the strongest predecessors of each node: more of them, the more there are.

    Candidates are the nodes before the target and not itself, with a weight of at least t; edges
    are the ``max(1, ceil(fraction * predecessors))`` largest of them. The first node has none. From
    `"Graph-Aware Isomorphic Attention" <https://arxiv.org/abs/2501.02393>`_.

    Args:
        fraction (float): The share of a target's predecessors.
        threshold (float): Threshold t.
        weighting (str): As in :class:`~gia.attention.sparsify.Selection`.
        published (bool): Where too few weights reach t, fill up with others, as the published code
            does, in an order that depends on the sorting routine.

    Raises:
        ValueError: If the fraction or the threshold is out of range.
    """

    def __init__(
        self,
        fraction: float = 0.1,
        *,
        threshold: float = 0.0,
        weighting: Weighting = "keep",
        published: bool = False,
    ):
        super().__init__(weighting)
        check_fraction(fraction)
        if not 0 <= threshold < math.inf:
            raise ValueError(f"threshold must be finite and not negative, got {threshold}")
        self.fraction, self.threshold, self.published = fraction, threshold, published

    def keep(self, weight: Tensor, pairs: PairLayout) -> Tensor:
        if self.published:
            return self._fill_up(weight, pairs)
        before = pairs.source_position < pairs.target_position
        chosen = weight.masked_fill(~(before & (weight >= self.threshold)), -torch.inf)
        predecessors = pairs.row_sum(before.to(weight.dtype))
        return pairs.top_k(chosen, share(predecessors, self.fraction))

    def _fill_up(self, weight: Tensor, block: PairBlock) -> Tensor:
        weight = weight.masked_fill(weight < self.threshold, 0)
        keep = torch.zeros_like(weight, dtype=torch.bool)
        for row in range(1, weight.size(-2)):
            k = max(1, math.ceil(self.fraction * row))
            keep[..., row, :].scatter_(-1, weight[..., row, :row].topk(k).indices, True)
        return keep

    def check(self, highest: float) -> None:
        if self.threshold > highest:
            raise ValueError(
                f"threshold must be at most {highest:g}, which no weight exceeds, got "
                f"{self.threshold}"
            )

    def extra_repr(self) -> str:
        return f"fraction={self.fraction}, threshold={self.threshold}, {super().extra_repr()}"


def share(number: Tensor, fraction: float) -> Tensor:
    """A fraction of whole numbers, rounded up, at least 1."""
    # Rounded first: in floating point 0.1 * 30 is above 3.
    return (number.double() * fraction).round(decimals=9).ceil().long().clamp(min=1)


def check_fraction(fraction: float | None) -> None:
    """Raise a ValueError unless a fraction is above 0 and at most 1."""
    if fraction is not None and not 0 < fraction <= 1:
        raise ValueError(f"fraction must be above 0 and at most 1, got {fraction}")
