"""The part of a Graph-LoRA adapter that belongs to one layer of the model."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, silu

from gia.adapters.attention_edges import ObservedAttention
from gia.adapters.dense_rows import DenseRows
from gia.adapters.graph_lora_config import GraphLoRAConfig
from gia.adapters.linear_layers import LinearGroup
from gia.adapters.message_graphs import message_graph
from gia.adapters.weights import EdgeWeights
from gia.graph import Adjacency
from gia.nn import Dropout

Extend = Callable[[str, Tensor], Tensor]


class Bottleneck(nn.Module):
    r"""The bottlenecks of linear layers that read the same input, side by side.

    .. math::
        \mathbf{u} = A \mathbf{x}, \quad
        \mathbf{z}_i = (1 + \epsilon) \mathbf{u}_i
        + \mathbf{g} \odot \textstyle\sum_j \hat{A}_{ij} \mathbf{u}_j

    Args:
        config (GraphLoRAConfig): The options.
        group (LinearGroup): The S linear layers.
        graphs (int): Graphs G that messages pass along: 1, H with ``combine="per_head"``, or 0.

    Attributes:
        lora_A (Parameter): ``[S r, in]``, as PEFT's one after the other.
        lora_B (Parameter): Of all outputs, one after the other, ``[sum of out, r]``.
        g (Parameter, optional): ``[G S r]``.
        eps (Parameter, optional): ``[S]``.

    Shapes:
        - **x:** ``[B, Q, in]``
        - **output:** the bottleneck of each linear layer, ``[B Q, r]``
    """

    def __init__(self, config: GraphLoRAConfig, group: LinearGroup, graphs: int):
        super().__init__()
        self.config, self.group, self.graphs = config, group, graphs
        sites, rank = len(group.names), config.r
        self.key, self.reads_below = group.key, group.before_attention
        self.dropout = Dropout(config.lora_dropout)
        self.lora_A = nn.Parameter(torch.empty(sites * rank, group.in_features))
        self.lora_B = nn.Parameter(torch.zeros(sum(group.out_features), rank))
        nn.init.kaiming_uniform_(self.lora_A, a=5**0.5)  # as PEFT's
        self.g = self.eps = self.mlp_in = self.mlp_out = None
        if graphs:
            self.g = nn.Parameter(torch.zeros(graphs * sites * rank))
        if config.train_eps:
            self.eps = nn.Parameter(torch.zeros(sites))
        if config.nonlinear:
            self.mlp_in = nn.Parameter(torch.empty(sites, rank, rank))
            self.mlp_out = nn.Parameter(torch.zeros(sites, rank, rank))
            nn.init.uniform_(self.mlp_in, -(rank**-0.5), rank**-0.5)

    def forward(
        self, x: Tensor, edges: Adjacency | None = None, extend: Extend | None = None
    ) -> tuple[Tensor, ...]:
        if x.dtype != self.lora_A.dtype:
            x = x.to(self.lora_A.dtype)
        u = linear(self.dropout(x) if self.training else x, self.lora_A)
        z = u
        if self.eps is not None:
            z = z * (1 + self.eps).repeat_interleave(self.config.r)
        if self.graphs:
            sent = u if extend is None else extend(self.key, u)  # [B, K, S r]
            if self.graphs == 1:
                z = torch.addcmul(z, self.g, _sum(edges, sent))
            else:
                arrived = _sum_per_graph(edges, sent, self.graphs)
                z = z + (self.g.view(self.graphs, 1, -1) * arrived).sum(1)
        if self.mlp_in is not None:
            parts = z.unflatten(-1, (-1, 1, self.config.r))  # [B, Q, S, 1, r]
            z = z + (silu(parts @ self.mlp_in.mT) @ self.mlp_out.mT).view_as(z)
        # Of equal parts, in the form that a step of generation calls the fastest.
        return z.flatten(0, -2).chunk(len(self.group.names), -1)

    def extra_repr(self) -> str:
        return f"{', '.join(self.group.names)}, r={self.config.r}, graphs={self.graphs}"


def _sum(edges: Adjacency, sent: Tensor) -> Tensor:
    """What arrives along one graph, ``[B, Q, c]`` of ``[B, K, c]``."""
    if isinstance(edges, DenseRows):
        weight = edges.weight.select(1, 0)
        weight = weight if weight.dtype == sent.dtype else weight.to(sent.dtype)
        if weight.size(1) == 1:
            return torch.bmm(weight, sent)
        # Of few channels, the gradient of W x by x may take ten times as long as that of x^T W^T.
        return torch.bmm(sent.mT, weight.mT).mT
    return edges.sum(sent.flatten(0, 1).unsqueeze(1)).view(sent.size(0), -1, sent.size(2))


def _sum_per_graph(edges: Adjacency, sent: Tensor, graphs: int) -> Tensor:
    """What arrives along each graph, ``[B, G, Q, c]`` of ``[B, K, c]``."""
    if isinstance(edges, DenseRows):
        return edges.weight.to(sent.dtype) @ sent.unsqueeze(1)
    total = edges.sum(sent.flatten(0, 1).unsqueeze(1).expand(-1, graphs, -1))  # [B Q, G, c]
    return total.unflatten(0, (sent.size(0), -1)).transpose(1, 2)


@dataclass
class Arrival:
    """The graph of a pass through a layer, and what the cache of that layer holds.

    Attributes:
        edges (Adjacency): From key slots to new tokens.
        extend (callable, optional): As for :class:`~gia.adapters.SparseGIN`.
        shape (tuple of int): Sequences and new tokens of each.
        recorded (bool): Whether attention was observed with gradients.
    """

    edges: Adjacency
    extend: Extend | None
    shape: tuple[int, int]
    recorded: bool


class Bottlenecks(NamedTuple):
    """What the linear layers of a group share.

    Attributes:
        x (Tensor): Their input.
        z (tuple of Tensor): The bottleneck of each.
        lora_B (tuple of Tensor): The B of each, ``[r, out]``.
    """

    x: Tensor
    z: tuple[Tensor, ...]
    lora_B: tuple[Tensor, ...]


@dataclass
class Held:
    """What is known in the middle of a pass; a copy of the model starts without it.

    Attributes:
        below, own (Arrival, optional): The graphs of the layer below and of this one.
        z (dict): What the linear layers of a group still want, by its name.
        left (int): Groups of linear layers after attention that are still to come.
        forward (bool): Whether this is the pass itself, and not checkpointing's second one.
    """

    below: Arrival | None = None
    own: Arrival | None = None
    z: dict[str, "Bottlenecks"] = field(default_factory=dict)
    left: int = 0
    forward: bool = False

    def __reduce__(self) -> tuple:
        return Held, ()


class GraphLoRA(nn.Module):
    """Low-rank changes of the linear layers of a decoder layer, whose bottlenecks pass messages.

    :class:`~gia.adapters.GraphLoRAConfig` has the equation.

    Args:
        config (GraphLoRAConfig): The options.
        groups (list of LinearGroup): The linear layers.
        heads (int): Heads H of the attention.
        layer (int): Which layer of the model it is, from 0.
        has_below (bool): Whether the layer below has a graph for the linear layers that attention
            is made of.
    """

    def __init__(
        self,
        config: GraphLoRAConfig,
        groups: Sequence[LinearGroup],
        *,
        heads: int,
        layer: int = 0,
        has_below: bool = False,
    ):
        super().__init__()
        self.config, self.layer = config, layer
        self.reads_below = has_below and config.qkv_messages and config.edges is not None
        graphs = 0 if config.edges is None else heads if config.combine == "per_head" else 1
        self.groups = nn.ModuleDict()
        for group in groups:
            messages = self.reads_below or not group.before_attention
            self.groups[group.key] = Bottleneck(config, group, graphs if messages else 0)
        sparsifier = config.sparsifier
        self.weights = None if sparsifier is None else EdgeWeights(sparsifier, heads)
        self.held = Held()
        self.is_read = False  # whether the layer above takes the graph over

    def messages(self) -> dict[str, dict[str, Tensor]]:
        """What linear layers have learned of messages: by their names g, ``[G, r]``, and eps."""
        found = {}
        for part in self.groups.values():
            for site, name in enumerate(part.group.names):
                rows, of_site = slice(site * self.config.r, (site + 1) * self.config.r), {}
                if part.g is not None:
                    of_site["g"] = part.g.detach().view(part.graphs, -1)[:, rows].clone()
                if part.eps is not None:
                    of_site["eps"] = part.eps.detach()[site].clone()
                found[name] = of_site
        return found

    def forward(self, observed: ObservedAttention, edges: Adjacency) -> Adjacency:
        """The graph that bottlenecks are given: hooks see it here."""
        return edges

    def observe(
        self,
        observed: ObservedAttention,
        positions: Tensor | None,
        seen: int | None,
        extend: Extend | None,
    ) -> None:
        """Make the graph of a pass."""
        held = self.held
        held.below = None
        held.left = sum(not part.reads_below for part in self.groups.values())
        if self.config.edges is not None:
            edges = message_graph(
                self.config, observed, self.weights,
                positions=positions, seen=seen, layer=self.layer,
            )  # fmt: skip
            edges = self(observed, edges)
            shape = observed.query.size(0), observed.query.size(2)
            held.own = Arrival(edges, extend, shape, torch.is_grad_enabled())
            if held.left == 0 and not held.forward:
                held.own = None
