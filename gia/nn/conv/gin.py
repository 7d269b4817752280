"""GIN message passing with learned edge weights."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch_geometric.nn import GINConv as PyGGINConv
from torch_geometric.nn.dense.linear import Linear
from torch_geometric.nn.inits import reset
from torch_geometric.typing import OptPairTensor, Size, SparseTensor

from gia.graph import Adjacency, EdgeAdjacency
from gia.nn.conv.aggregate import aggregate, aggregator_name
from gia.nn.conv.explain import explained
from gia.nn.conv.inputs import (
    as_adjacency,
    encode_edge_attr,
    num_targets,
    take_edge_attr,
    written_out,
)
from gia.typing import OptTensor


class GINConv(PyGGINConv):
    r"""The graph isomorphism operator on a weighted graph, for one or several heads.

    .. math::
        \mathbf{x}'_i = h_\Theta \Big( (1 + \epsilon) \, \mathbf{x}_i
        + \sum_{j \in \mathcal{N}(i)} A_{ij} \, \mathbf{x}_j \Big)

    From `"How Powerful are Graph Neural Networks?" <https://arxiv.org/abs/1810.00826>`_ and, with
    attention as A, `"Graph-Aware Isomorphic Attention" <https://arxiv.org/abs/2501.02393>`_, whose
    :math:`\epsilon` is PyG's plus 1. Edge attributes make it PyG's ``GINEConv``, from `"Strategies
    for Pre-training Graph Neural Networks" <https://arxiv.org/abs/1905.12265>`_:
    :math:`\mathbf{x}_j` becomes :math:`\mathrm{ReLU}(\mathbf{x}_j + W \mathbf{e}_{ij})`.

    Args:
        nn (callable): The network :math:`h_\Theta`, ``[N, D]`` to ``[N, D']``.
        eps (float): Start of :math:`\epsilon`; -1 leaves out the node itself.
        train_eps (bool): Whether :math:`\epsilon` is trained.
        heads (int): Heads H, one :math:`\epsilon` each; they share the channels of x evenly.
        edge_dim (int, optional): Channels of the edge attributes; without it the layer takes none.
            With it ``nn`` begins with a layer that tells the channels of x, as ``in_features`` or
            ``in_channels``.
        **kwargs: Of :class:`torch_geometric.nn.conv.MessagePassing`.

    Shapes:
        - **x:** ``[N, D]``, or a pair for bipartite graphs
        - **edge_index:** ``[2, E]``, a sparse ``adj_t``, or an :class:`~gia.graph.Adjacency`
        - **edge_attr:** ``[E, edge_dim]``, in the order of ``adjacency.to_edges()``
        - **edge_weight:** ``[E]``, or ``[E, H]``
        - **output:** ``[N, D']``

    Raises:
        ValueError: If the channels of x cannot be told from ``nn``, or edge attributes do not fit.
    """

    def __init__(
        self,
        nn: Callable,
        eps: float = 0.0,
        train_eps: bool = False,
        *,
        heads: int = 1,
        edge_dim: int | None = None,
        **kwargs,
    ):
        if heads < 1:
            raise ValueError(f"heads must be at least 1, got {heads}")
        kwargs.setdefault("aggr", "add")
        self._aggregator = aggregator_name(kwargs["aggr"])
        super().__init__(nn, eps, train_eps, **kwargs)
        self.heads = heads
        self.edge_dim = edge_dim
        self.lin = None if edge_dim is None else Linear(edge_dim, _in_features(nn))
        if heads > 1:
            eps_of_heads = self.eps.data.expand(heads).clone()
            if train_eps:
                self.eps = torch.nn.Parameter(eps_of_heads)
            else:
                self.eps = eps_of_heads

    def forward(
        self,
        x: Tensor | OptPairTensor,
        edge_index: Adjacency | Tensor | SparseTensor,
        size: Size = None,
        *,
        edge_attr: OptTensor = None,
        edge_weight: OptTensor = None,
    ) -> Tensor:
        edge_index, edge_attr = take_edge_attr(edge_index, edge_attr, self.edge_dim)
        pair = (x, x) if isinstance(x, Tensor) else x
        adjacency = as_adjacency(
            edge_index,
            edge_weight,
            num_nodes=num_targets(edge_index, pair, size, self.node_dim),
            num_sources=pair[0].size(self.node_dim),
            flow=self.flow,
        )
        x_source = self._split(pair[0])
        x_target = x_source if pair[1] is pair[0] else self._split(pair[1])
        messages = x_source
        if edge_attr is not None or self.explain:  # one for each edge
            edges = written_out(adjacency)
            messages = explained(self, self._messages(x_source, edges, edge_attr), adjacency)
            adjacency = edges.incidence()
        (out,) = aggregate([self._aggregator], messages, adjacency)  # [N, H, d]
        if x_target is not None:
            scale = (1 + self.eps).unsqueeze(1).to(x_target.dtype)  # [H, 1], or [1, 1]
            out = torch.addcmul(out, scale, x_target)
        return self.nn(out.flatten(-2).movedim(0, self.node_dim))

    @property
    def needs_edges(self) -> bool:
        """Whether its messages are made edge by edge."""
        return self.edge_dim is not None

    def reset_parameters(self) -> None:
        super().reset_parameters()
        reset(getattr(self, "lin", None))  # the parent calls this before there is one

    def _messages(self, x: Tensor, edges: EdgeAdjacency, edge_attr: OptTensor) -> Tensor:
        source = edges.edge_index[0]
        messages = x.index_select(0, source)  # [E, H, d]
        if edge_attr is None:
            return messages
        encoded = encode_edge_attr(self.lin, edge_attr, source.numel())
        encoded = encoded.view(source.numel(), *[1] * (x.dim() - 3), *x.shape[-2:])
        return (messages + encoded).relu()

    def _split(self, x: OptTensor) -> OptTensor:
        """Nodes first, heads apart: ``[N, D]`` to ``[N, H, d]``."""
        if x is None:
            return None
        x = x.movedim(self.node_dim, 0)
        if x.size(-1) % self.heads:
            raise ValueError(f"{self.heads} heads cannot share {x.size(-1)} channels evenly")
        return x.unflatten(-1, (self.heads, -1))


def _in_features(nn: Callable) -> int:
    """Channels of what a network takes, found where PyG's layers look for them."""
    first = nn
    while isinstance(first, torch.nn.Sequential) and len(first) > 0:
        first = first[0]
    for name in ("in_features", "in_channels"):
        channels = getattr(first, name, None)
        if isinstance(channels, int) and channels > 0:  # a lazy layer does not know them yet
            return channels
    raise ValueError(
        f"with edge_dim, nn must begin with a layer that has in_features or in_channels, got "
        f"{first!r}: put a linear layer first"
    )
