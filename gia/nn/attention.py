"""Attention layers: a graph from the nodes, then message passing over it."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gia.attention import AttentionAdjacency, InputGraph, Memory, NeighborScope, Scope
from gia.graph import Adjacency
from gia.nn.conv.gin import GINConv
from gia.nn.conv.inputs import written_out
from gia.nn.conv.pna import PNAConv
from gia.nn.conv.weighted_sum import WeightedSumConv
from gia.nn.copies import begin_anew
from gia.nn.per_head import PerHeadMLP
from gia.nn.pyg_conv import (
    channels_of,
    check_conv,
    is_causal,
    over_edges,
    takes,
    takes_given_attr,
    tell,
)
from gia.typing import OptTensor


class GraphAttention(nn.Module):
    """Attention as what it is: ``out(conv(value(x), adjacency(x)))``.

    Given an ``edge_index`` in place of a scope it is a PyG layer whose weights come from attention
    over these edges, such as the ``conv`` of :class:`torch_geometric.nn.GPSConv`.

    The other way round, any of PyG's layers is a ``conv`` here: it is given the edges that
    attention draws and their weights, the mean of the heads as ``edge_weight [E]`` or else all of
    them as ``edge_attr [E, H]`` (build it with ``edge_dim=H``). One that takes neither is given the
    edges alone, which is said once.

    Args:
        adjacency (nn.Module): ``adjacency(x, scope, rotary, memory)`` draws the graph; given a
            memory, over all nodes that it holds.
        conv (nn.Module): ``conv(x, adjacency)`` passes messages over it; or a layer of PyG's, which
            is called with an ``edge_index``.
        value (nn.Module, optional): What is sent along the edges; x itself if left out.
        out (nn.Module, optional): Output projection; none if left out.

    Shapes:
        - **x**, **output:** ``[N, D]``
        - **scope:** a :class:`~gia.attention.Scope`, or ``edge_index [2, E]``
        - **edge_attr:** attributes of these edges, ``[E, F]``, where a part of the layer reads them

    Raises:
        ValueError: If a layer of PyG's cannot be called over attention graphs.
    """

    def __init__(
        self,
        *,
        adjacency: AttentionAdjacency,
        conv: nn.Module,
        value: nn.Module | None = None,
        out: nn.Module | None = None,
    ):
        super().__init__()
        self.adjacency = adjacency
        self.conv = conv
        self.value = value if value is not None else nn.Identity()
        self.out = out if out is not None else nn.Identity()
        self.takes = takes(conv)
        if self.takes != "adjacency":
            self._check_conv()

    def forward(
        self,
        x: Tensor,
        scope: Scope | Tensor,
        rotary: OptTensor = None,
        memory: Memory | None = None,
        *,
        edge_attr: OptTensor = None,
    ) -> Tensor:
        if isinstance(scope, Tensor):
            ptr = torch.tensor([0, x.size(0)], device=x.device)
            given = InputGraph(scope, edge_attr)
            scope = NeighborScope(ptr, [x.size(0)], given=given, self_loops=False)
        return self.propagate(x, self.graph(x, scope, rotary, memory), scope)

    def graph(
        self, x: Tensor, scope: Scope, rotary: OptTensor = None, memory: Memory | None = None
    ) -> Adjacency:
        """The graph that messages are passed over."""
        return self.adjacency(x, scope, rotary, memory)

    def propagate(self, x: Tensor, graph: Adjacency, scope: Scope) -> Tensor:
        """Pass messages over a graph of this scope, ``[N, D]`` to ``[N, D]``.

        Where the messages take edge attributes, edges that the data does not know have zeros, and
        those between nodes that several edges of the data join send a message for each of these.

        Raises:
            ValueError: If the messages take edge attributes and the data has none.
        """
        if self.takes != "adjacency":
            return self.out(over_edges(self.conv, self.takes, self.value(x), graph))
        if not takes_given_attr(self.conv):
            return self.out(self.conv(self.value(x), graph))
        given = scope.given_edges()
        attr = None if given is None else given.attr(x.dtype)
        if attr is None:
            raise ValueError(
                "the messages take edge attributes, but the data has no edge_index and edge_attr"
            )
        edges, attr = given.along(written_out(graph), attr)
        return self.out(self.conv(self.value(x), edges, edge_attr=attr))

    @property
    def continuable(self) -> bool:
        """Whether a cache can continue the graphs and what is done with them."""
        needs_edges = self.takes != "adjacency" or getattr(self.conv, "needs_edges", False)
        return self.adjacency.continuable and not needs_edges

    @property
    def causal(self) -> bool:
        """Whether over a causal graph a node's output is the same whatever comes after it."""
        return is_causal(self.conv, None, _heads(self.adjacency))

    def reset_parameters(self) -> None:
        """Begin anew, every part."""
        for part in self.children():
            begin_anew(part)

    def _check_conv(self) -> None:
        """Try one of PyG's layers, and say so if nothing of attention's weights reaches it."""
        value = self.value
        width = channels_of(self.conv) if isinstance(value, nn.Identity) else None
        check_conv(self.conv, width, _heads(self.adjacency))
        if self.takes == "edge_index":
            kept = "the edges that attention keeps"
            if not self.adjacency.parts.drops:
                kept = "all pairs of the scope, so that nothing of attention is left"
            tell(
                f"{type(self.conv).__name__} takes no weights: it is given {kept}, and queries and "
                "keys are not trained; sparsify=top_k chooses edges, GraphConv takes weights"
            )


class SoftmaxAttention(GraphAttention):
    """Plain attention, the baseline: a weighted sum of projected values.

    `"Attention Is All You Need" <https://arxiv.org/abs/1706.03762>`_.

    Args:
        width (int): Channels D of a node.
        heads (int): Heads H.
        adjacency (nn.Module): The graph.
        values (bool): Whether values are projected; without, nodes are sent as they are, as
            :class:`GINAttention` sends them.
    """

    def __init__(
        self, width: int, heads: int, *, adjacency: AttentionAdjacency, values: bool = True
    ):
        super().__init__(
            adjacency=adjacency,
            conv=WeightedSumConv(heads),
            value=nn.Linear(width, width, bias=False) if values else None,
            out=nn.Linear(width, width, bias=False),
        )


class GINAttention(GraphAttention):
    r"""GIN-Attention: :math:`\mathrm{MLP}_h\big((1 + \epsilon_h) X_h + A_h X_h\big)` for each head.

    From `"Graph-Aware Isomorphic Attention" <https://arxiv.org/abs/2501.02393>`_. The nodes'
    features are sent as they are, without a value projection.

    Args:
        width (int): Channels D of a node.
        heads (int): Heads H, each with an MLP and an :math:`\epsilon` of its own.
        adjacency (nn.Module): The graph.
        multiplier (float): Hidden channels of a head's MLP over its channels d.
        eps (float): Start of PyG's :math:`\epsilon`: -1 is the published start, 0 the usual GIN.
        train_eps (bool): Whether :math:`\epsilon` is trained.
        dropout (float): Dropout inside the MLPs.
        norm (bool): Whether the MLPs normalise their hidden channels, as published. Without it
            they see how large a sum is, and so how many neighbours there are, as the usual GIN.
        out_proj (bool): Whether an output projection mixes the heads.
        edge_dim (int, optional): Numbers F known of a given edge: they enter its messages, as in
            :class:`~gia.nn.GINConv`.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        adjacency: AttentionAdjacency,
        multiplier: float = 0.5,
        eps: float = -1.0,
        train_eps: bool = True,
        dropout: float = 0.0,
        norm: bool = True,
        out_proj: bool = False,
        edge_dim: int | None = None,
    ):
        channels = width // heads
        hidden = int(multiplier * channels)
        mlp = PerHeadMLP(heads, channels, hidden, channels, norm=norm, dropout=dropout)
        super().__init__(
            adjacency=adjacency,
            conv=GINConv(mlp, eps, train_eps, heads=heads, edge_dim=edge_dim),
            out=nn.Linear(width, width, bias=False) if out_proj else None,
        )


class PNAAttention(GraphAttention):
    r"""PNA-Attention: :math:`\mathrm{MLP}_h\big([\sum, \mu, \max, \mathrm{var}]_{A_h} V_h\big)`.

    From `"Graph-Aware Isomorphic Attention" <https://arxiv.org/abs/2501.02393>`_, with the real
    maximum over the neighbours (the published code takes the node's own vector).

    Args:
        width (int): Channels D of a node.
        heads (int): Heads H, each with an MLP of its own.
        adjacency (nn.Module): The graph.
        multiplier (float): Hidden channels of a head's MLP over its channels d.
        aggregators, scalers, deg, degree, threshold: As in :class:`~gia.nn.PNAConv`; ``own`` in the
            place of ``max`` is what the published code takes.
        dropout (float): Dropout inside the MLPs.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        adjacency: AttentionAdjacency,
        multiplier: float = 0.5,
        aggregators: Sequence[str] = ("sum", "mean", "max", "var"),
        scalers: Sequence[str] = ("identity",),
        deg: OptTensor = None,
        degree: str = "weight",
        threshold: float = 0.0,
        dropout: float = 0.0,
    ):
        channels = width // heads
        mlp = PerHeadMLP(
            heads,
            len(aggregators) * len(scalers) * channels,
            int(multiplier * channels),
            channels,
            bias=False,
            norm=False,
            dropout=dropout,
        )
        conv = PNAConv(
            width,
            width,
            list(aggregators),
            list(scalers),
            deg,
            towers=heads,
            pre_layers=0,
            divide_input=True,
            nn=mlp,
            degree=degree,
            threshold=threshold,
        )
        super().__init__(
            adjacency=adjacency,
            conv=conv,
            value=nn.Linear(width, width, bias=False),
            out=nn.Linear(width, width, bias=False),
        )


def _heads(adjacency: nn.Module) -> int | None:
    """Heads of a graph, where its scores tell."""
    score = getattr(adjacency, "score", None)
    heads = getattr(getattr(score, "score", score), "heads", None)  # of all maps
    return heads // adjacency.normalize.maps if isinstance(heads, int) else None
