"""Scores by a small network that looks at both nodes of a pair."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, silu
from torch.utils.checkpoint import checkpoint

from gia.attention.scope import Scope
from gia.attention.score.base import Score, Scores
from gia.graph.pair_layout import PairLayout
from gia.typing import OptTensor


@dataclass(frozen=True)
class PairNetwork(Scores):
    """Scores of pairs by a network whose first layer is applied to each node already.

    Its hidden activations are made for some pairs at a time, and anew for the gradient.

    Shapes:
        - **target**, **source:** a node's part of the hidden layer, ``[N, M]``
        - **weight:** of the last layer, ``[H, M]``
        - **bias:** ``[H]``
    """

    target: Tensor
    source: Tensor
    weight: Tensor
    bias: Tensor

    @property
    def heads(self) -> int:
        return self.weight.size(0)

    def on(self, pairs: PairLayout) -> Tensor:
        return pairs.of_ends(self._network, self.target, self.source)

    def times(self, factor: Tensor | float) -> "PairNetwork":
        return replace(self, weight=self.weight * factor, bias=self.bias * factor)

    def _network(self, target: Tensor, source: Tensor) -> Tensor:
        """``[..., M]`` and ``[..., M]`` to ``[..., H]``."""

        def network(target: Tensor, source: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
            return linear(silu(target + source), weight, bias)

        inputs = (target, source, self.weight, self.bias)
        dtype = torch.promote_types(target.dtype, self.weight.dtype)  # autocast makes them differ
        inputs = tuple(tensor.to(dtype) for tensor in inputs)
        if torch.is_grad_enabled():
            return checkpoint(network, *inputs, use_reentrant=False, preserve_rng_state=False)
        return network(*inputs)


class PairNetworkScore(Score):
    r"""Scores :math:`S[i, j] = W_2 \, \mathrm{SiLU}(W_1 [\mathbf{x}_i; \mathbf{x}_j] + b_1) + b_2`.

    The scoring network of `"Graph-Aware Isomorphic Attention" <https://arxiv.org/abs/2501.02393>`_,
    one output a head. Its first layer is linear in the pair, so that it is applied to each node
    once and no pair is ever concatenated. Positions do not enter it: give it a
    :class:`~gia.attention.DistanceBias` where they matter.

    Args:
        in_channels (int): Channels D of a node.
        heads (int): Heads H.
        hidden_channels (int): Hidden channels M.

    Shapes:
        - **x:** ``[N, D]``
    """

    def __init__(self, in_channels: int, heads: int, *, hidden_channels: int = 512):
        super().__init__()
        if heads < 1 or hidden_channels < 1:
            raise ValueError(
                f"heads and hidden channels must be at least 1, got {heads} and {hidden_channels}"
            )
        self.hidden = nn.Linear(2 * in_channels, hidden_channels)
        self.out = nn.Linear(hidden_channels, heads)

    def forward(
        self, x: Tensor, rotary: OptTensor = None, scope: Scope | None = None
    ) -> PairNetwork:
        of_target, of_source = self.hidden.weight.chunk(2, dim=1)
        target = linear(x, of_target, self.hidden.bias)
        return PairNetwork(target, linear(x, of_source), self.out.weight, self.out.bias)
