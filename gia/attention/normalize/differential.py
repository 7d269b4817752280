"""The difference of two attention maps."""

import math

import torch
from torch import Tensor, nn

from gia.attention.normalize.base import Normalizer
from gia.attention.normalize.softmax import Softmax
from gia.attention.score import Scores
from gia.graph.pair_block import PairBlock
from gia.graph.pair_layout import PairLayout


class Differential(Normalizer):
    r"""Differential attention: :math:`A = \mathrm{softmax}(\alpha S_1) - \lambda \,
    \mathrm{softmax}(\alpha S_2)`.

    `"Differential Transformer" <https://arxiv.org/abs/2410.05258>`_, eq. 1, with one trainable
    :math:`\lambda` a layer that starts at :math:`0.8 - 0.6 \exp(-0.3 (l - 1))`, l the layer's
    number. Weights have either sign; the support is the scope.

    Args:
        head_norm (HeadNorm, optional): Normalises the weights of each head, which are then
            multiplied by 1 minus the start of lambda.
        **kwargs: Of :class:`~gia.attention.Softmax`.
    """

    maps = 2
    layer = 1  # set by the model

    def __init__(self, *, head_norm: "HeadNorm | None" = None, **kwargs):
        super().__init__()
        self.softmax = Softmax(**kwargs)
        self.head_norm = head_norm
        if head_norm is not None:
            self.published, self.highest = head_norm.published, math.inf
        self.balance = nn.Parameter(torch.empty(()))  # lambda
        self.reset_parameters()

    @property
    def initial_balance(self) -> float:
        """Where lambda starts."""
        return 0.8 - 0.6 * math.exp(-0.3 * (self.layer - 1))

    def reset_parameters(self) -> None:
        nn.init.constant_(self.balance, self.initial_balance)

    def scale(self, scores: Scores) -> Scores:
        return self.softmax.scale(scores)

    def forward(self, scores: Tensor, others: Tensor, *, pairs: PairLayout) -> Tensor:
        weight = pairs.softmax(scores) - self.balance * pairs.softmax(others)
        if self.head_norm is None:
            return weight
        return self.head_norm(weight, pairs) * (1 - self.initial_balance)


class HeadNorm(nn.Module):
    r"""Weights of each head to mean 0 and variance 1, then a trainable gain and bias a head.

    The mean and the variance are those of a target's own candidates.

    Args:
        heads (int): Heads H.
        published (bool): Take them over the whole L x L map of a head, as the published code of
            `"Graph-Aware Isomorphic Attention" <https://arxiv.org/abs/2501.02393>`_ does: later
            tokens then matter.
        eps (float): Added to the variance.
    """

    def __init__(self, heads: int, *, published: bool = False, eps: float = 1e-5):
        super().__init__()
        self.published, self.eps = published, eps
        self.weight = nn.Parameter(torch.empty(heads))
        self.bias = nn.Parameter(torch.empty(heads))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.ones_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, weight: Tensor, pairs: PairLayout) -> Tensor:
        mean = self._mean_over_map if self.published else self._mean_over_row
        centred = weight - mean(weight, pairs)
        if not self.published:
            centred = pairs.fill(centred, 0.0)
        normed = centred * (mean(centred.square(), pairs) + self.eps).rsqrt()
        return pairs.fill(normed * pairs.per_head(self.weight) + pairs.per_head(self.bias), 0.0)

    @staticmethod
    def _mean_over_row(values: Tensor, pairs: PairLayout) -> Tensor:
        return pairs.row_sum(values) / pairs.count().clamp(min=1)

    @staticmethod
    def _mean_over_map(values: Tensor, block: PairBlock) -> Tensor:
        """Over all L x L pairs of each graph, those outside the scope too."""
        real = block.mask[:, None, :, None] & block.mask[:, None, None, :]
        size = torch.tensor(block.sizes, device=values.device).view(-1, 1, 1, 1)
        return (values * real).sum((-2, -1), keepdim=True) / (size * size)
