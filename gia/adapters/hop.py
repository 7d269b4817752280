"""One hop of messages in an adapter: what a token makes of the tokens it has edges from.

All have the same call, ``hop(u, send, edges, activation)``. What one reads of its sources it hands
to ``send`` first, which appends it to what earlier tokens sent: a token's message is made once,
when the token comes, and later tokens never change it.
"""

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu
from torch_geometric.utils import softmax

from gia.graph import Adjacency, EdgeAdjacency
from gia.nn import WeightedSumConv
from gia.nn.conv import aggregate

Send: TypeAlias = Callable[[Tensor], Tensor]
"""Of the new tokens' messages, ``[N, c]``, makes those of all sources, ``[M, c]``."""


class Hop(nn.Module):
    r"""What all hops have in common.

    Args:
        channels (int): Channels g of a token.
        hidden (int): Hidden channels of the hop's network, if it has one.
        groups (int): Weights that an edge has: 1, or one for each head. Channels are shared evenly.
        eps (float): Start of GIN's :math:`\epsilon`.
        gate (float, optional): Start of GIN's :math:`\mathbf{g}`, a number for each channel; None:
            there is none, and messages count 1.

    Shapes:
        - **u**, **output:** ``[N, g]``
        - **edges:** from M sources to N targets, weights ``[E]`` or ``[E, groups]``
    """

    gated = False  # whether it has a gate

    def __init__(
        self,
        channels: int,
        hidden: int,
        groups: int = 1,
        *,
        eps: float = 0.0,
        gate: float | None = None,
    ):
        super().__init__()
        self.groups = groups
        self.gate = None
        if self.gated and gate is not None:
            self.gate = nn.Parameter(torch.full((channels,), float(gate)))
        self.build(channels, hidden, eps)

    def build(self, channels: int, hidden: int, eps: float) -> None:
        """Make the parameters."""
        raise NotImplementedError

    def forward(self, u: Tensor, send: Send, edges: Adjacency, activation: nn.Module) -> Tensor:
        raise NotImplementedError

    def _split(self, u: Tensor) -> Tensor:
        """The channels of each group apart, ``[N, groups, g / groups]``."""
        return u.view(u.size(0), self.groups, u.size(1) // self.groups)


class GINHop(Hop):
    r""":math:`\mathbf{z} = (1 + \epsilon) \mathbf{u}_i
    + \mathbf{g} \odot \sum_j A'_{ij} \mathbf{u}_j`, then
    :math:`W_2 \, \mathrm{act}(W_1 \mathbf{z} + \mathbf{b}_1) + \mathbf{b}_2 + \mathbf{z}`.

    The published :math:`\epsilon` is this one plus 1.
    """

    gated = True

    def build(self, channels: int, hidden: int, eps: float) -> None:
        self.eps = nn.Parameter(torch.full((self.groups,), eps))
        self.linear1 = nn.Linear(channels, hidden)
        self.linear2 = nn.Linear(hidden, channels)

    def forward(self, u: Tensor, send: Send, edges: Adjacency, activation: nn.Module) -> Tensor:
        # GINConv's sum, without its checks, which would take as long as a new token's sum.
        own, total = self._split(u), edges.sum(self._split(send(u)))
        z = torch.addcmul(own, own, self.eps.unsqueeze(1))
        if self.gate is None:
            z = z + total
        else:
            z = torch.addcmul(z, total, self.gate.view(self.groups, -1))
        z = z.flatten(1)
        return self.linear2(activation(self.linear1(z))) + z


class GCNHop(Hop):
    r""":math:`W \sum_j A'_{ij} \mathbf{u}_j / \sqrt{d_i d_j} + \mathbf{b}` with
    :math:`d_i = 1 + \sum_j A'_{ij}`, from `"Semi-Supervised Classification with Graph Convolutional
    Networks" <https://arxiv.org/abs/1609.02907>`_.

    Both degrees are sums over what arrives: what leaves a token would grow with every later one.
    The 1 is for tokens without an edge, and keeps the weight of an only edge from cancelling; a
    token itself counts by its self loop.
    """

    def build(self, channels: int, hidden: int, eps: float) -> None:
        self.linear = nn.Linear(channels, channels)

    def forward(self, u: Tensor, send: Send, edges: Adjacency, activation: nn.Module) -> Tensor:
        scale = (1 + edges.degree()).rsqrt().to(u.dtype).unsqueeze(-1)  # [N, groups, 1]
        sent = send((scale * self._split(u)).flatten(1))
        return self.linear((scale * edges.sum(self._split(sent))).flatten(1))


class PNAHop(Hop):
    r""":math:`W_2 \, \mathrm{act}(W_1 [\mathbf{u}_i, \textstyle\sum, \mu, \max, \sigma^2]
    + \mathbf{b}_1) + \mathbf{b}_2 + \mathbf{u}_i`, aggregated as in :func:`gia.nn.conv.aggregate`.

    From `"Principal Neighbourhood Aggregation for Graph Nets" <https://arxiv.org/abs/2004.05718>`_.
    """

    aggregators = ("sum", "mean", "max", "var")

    def build(self, channels: int, hidden: int, eps: float) -> None:
        self.linear1 = nn.Linear((1 + len(self.aggregators)) * channels, hidden)
        self.linear2 = nn.Linear(hidden, channels)

    def forward(self, u: Tensor, send: Send, edges: EdgeAdjacency, activation: nn.Module) -> Tensor:
        if self.groups > 1:  # a maximum runs over the edges that a head has itself
            edges = edges.select(edges.edge_weight != 0)
        parts = aggregate(list(self.aggregators), self._split(send(u)), edges)
        z = torch.cat([u, *(part.flatten(1) for part in parts)], dim=-1)
        return self.linear2(activation(self.linear1(z))) + u


class RecombineHop(Hop):
    r""":math:`\sum_j A'_{ij} \, \mathrm{softmax}_j \big( \mathrm{LeakyReLU}(\mathbf{a} \cdot
    \mathbf{u}_i + \mathbf{b} \cdot \mathbf{u}_j) \big) \mathbf{u}_j`: a small attention among the
    edges of a token, on top of the model's own.

    The scores are those of `"Graph Attention Networks" <https://arxiv.org/abs/1710.10903>`_.
    """

    def build(self, channels: int, hidden: int, eps: float) -> None:
        bound = (channels / self.groups) ** -0.5
        shape = (self.groups, channels // self.groups)
        self.target = nn.Parameter(torch.empty(shape).uniform_(-bound, bound))
        self.source = nn.Parameter(torch.empty(shape).uniform_(-bound, bound))
        self.conv = WeightedSumConv(self.groups)

    def forward(self, u: Tensor, send: Send, edges: EdgeAdjacency, activation: nn.Module) -> Tensor:
        sent = send(u)
        of_target = (self._split(u) * self.target).sum(-1)  # [N, groups]
        of_source = (self._split(sent) * self.source).sum(-1)  # [M, groups]
        source, target = edges.edge_index
        score = leaky_relu(of_target[target] + of_source[source], 0.2)  # [E, groups]
        weight = edges.edge_weight.view(score.shape)
        score = score.to(weight.dtype).masked_fill(weight == 0, torch.finfo(weight.dtype).min)
        share = softmax(score, target, num_nodes=edges.num_nodes)
        return self.conv(sent, edges.with_weight((weight * share).view_as(edges.edge_weight)))


HOPS: dict[str, type[Hop]] = {
    "gin": GINHop,
    "gcn": GCNHop,
    "pna": PNAHop,
    "recombine": RecombineHop,
}
