"""GIN message passing with learned edge weights."""

# ruff: noqa: UP007, UP045 (PyG's templates and TorchScript read the older spelling)

from collections.abc import Callable
from typing import Optional, Union

import torch
from torch import Tensor
from torch_geometric.nn import GINConv as PyGGINConv
from torch_geometric.nn.dense.linear import Linear
from torch_geometric.nn.inits import reset
from torch_geometric.typing import Adj, OptPairTensor, OptTensor, Size, SparseTensor
from torch_geometric.utils import spmm

from gia.graph import Adjacency
from gia.nn.conv.aggregate import aggregate, aggregator_name
from gia.nn.conv.inputs import (
    as_adjacency,
    check_edge_attr,
    num_targets,
    take_edge_attr,
    written_out,
)
from gia.nn.conv.message_passing import WeightedMessagePassing, arriving, as_pair


class GINConv(WeightedMessagePassing, PyGGINConv, layer=True):
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
        self.takes_edge_attr = edge_dim is not None
        self.fuse = self.fuse and not self.takes_edge_attr
        self.lin = None if edge_dim is None else Linear(edge_dim, _in_features(nn))
        if heads > 1:
            eps_of_heads = self.eps.data.expand(heads).clone()
            if train_eps:
                self.eps = torch.nn.Parameter(eps_of_heads)
            else:
                self.eps = eps_of_heads

    def forward(
        self,
        x: Union[Tensor, OptPairTensor],
        edge_index: Adj,
        size: Size = None,
        edge_attr: OptTensor = None,
        edge_weight: OptTensor = None,
    ) -> Tensor:
        return self._pass(x, edge_index, size, edge_attr, edge_weight)

    def _pass(
        self,
        x: Union[Tensor, OptPairTensor],
        edge_index: Adj,
        size: Size,
        edge_attr: OptTensor,
        edge_weight: OptTensor,
    ) -> Tensor:
        if isinstance(x, Tensor):
            x = (x, x)
        adj_weight, adj_head = edge_weight, torch.jit.annotate(Optional[Tensor], None)
        sent = x
        if torch.jit.is_scripting():
            if self.takes_edge_attr and edge_attr is None and isinstance(edge_index, SparseTensor):
                edge_attr = edge_index.storage.value()
        else:
            needed = self.takes_edge_attr
            edge_index, edge_attr = take_edge_attr(
                edge_index, edge_attr, self.edge_dim, needed=needed
            )
            nodes = num_targets(edge_index, x, size, self.node_dim, self.flow)
            sources = x[0].size(self.node_dim)
            if self.is_plain():
                adjacency = as_adjacency(
                    edge_index, edge_weight, num_nodes=nodes, num_sources=sources, flow=self.flow
                )
                return self._fast(x[0], x[1], adjacency, edge_attr)
            call = self.call(edge_index, edge_weight, nodes, sources)
            edge_index, edge_weight, adj_weight, adj_head, size, number = call
            self._check(edge_attr, number, x[0])
            sent = as_pair(self, x)
        # propagate_type: (x: OptPairTensor, edge_attr: OptTensor, edge_weight: OptTensor,
        #                  adj_weight: OptTensor, adj_head: OptTensor)
        out = self.propagate(
            edge_index,
            x=sent,
            edge_attr=edge_attr,
            edge_weight=edge_weight,
            adj_weight=adj_weight,
            adj_head=adj_head,
            size=size,
        )
        itself = x[1]
        if itself is not None:
            eps = self.eps
            if self.heads > 1:
                eps = eps.repeat_interleave(itself.size(-1) // self.heads)
            out = out + (1 + eps) * itself
        return self.nn(out)

    @torch.jit.unused
    def _fast(
        self, source: Tensor, itself: OptTensor, adjacency: Adjacency, edge_attr: OptTensor
    ) -> Tensor:
        """The same where nobody looks: features that are sent as they are, are not written out."""
        x = sent = self._split(source)
        if edge_attr is not None:
            edges = written_out(adjacency)
            self._check(edge_attr, edges.edge_index.size(1), source)
            read = source.index_select(self.node_dim, edges.edge_index[0])
            sent, adjacency = self._split(self.message(read, edge_attr)), edges.incidence()
        (out,) = aggregate([self._aggregator], sent, adjacency)  # [N, H, d]
        if itself is not None:
            x = x if itself is source else self._split(itself)
            # Written out for all channels, [H, d], it is multiplied row by row, not head by head.
            scale = (1 + self.eps).unsqueeze(1).to(x.dtype).expand(x.shape[1:]).contiguous()
            out = torch.addcmul(out, scale, x)
        return self.nn(self._join(out))

    @torch.jit.unused
    def _check(self, edge_attr: OptTensor, num_edges: int, x: Tensor) -> None:
        if edge_attr is not None:
            edge_dim = x.size(-1) if self.lin is None else self.lin.in_channels
            check_edge_attr(edge_attr, num_edges, edge_dim)

    def message(self, x_j: Tensor, edge_attr: OptTensor = None) -> Tensor:
        if edge_attr is None:
            return x_j
        if self.lin is not None:
            edge_attr = self.lin(edge_attr)
        return (x_j + edge_attr).relu()

    def aggregate(
        self,
        inputs: Tensor,
        index: Tensor,
        ptr: Optional[Tensor] = None,
        dim_size: Optional[int] = None,
        adj_weight: OptTensor = None,
        adj_head: OptTensor = None,
    ) -> Tensor:
        if torch.jit.is_scripting():
            if adj_weight is not None:
                raise NotImplementedError("TorchScript takes graphs without weights")
            return self.aggr_module(inputs, index, ptr=ptr, dim_size=dim_size, dim=self.node_dim)
        else:
            graph = arriving(index, ptr, dim_size, adj_weight, adj_head, self.heads)
            (out,) = aggregate([self._aggregator], self._split(inputs), graph)
            return self._join(out)

    def message_and_aggregate(self, adj_t: Adj, x: OptPairTensor) -> Tensor:
        if torch.jit.is_scripting():
            if isinstance(adj_t, SparseTensor) and adj_t.storage.value() is not None:
                raise NotImplementedError("TorchScript takes graphs without weights")
            return spmm(adj_t, x[0], reduce=self.aggr)
        else:
            source = self._split(x[0])
            nodes, sources = adj_t.size(0), source.size(0)
            graph = as_adjacency(adj_t, num_nodes=nodes, num_sources=sources)
            (out,) = aggregate([self._aggregator], source, graph)
            return self._join(out)

    @property
    def needs_edges(self) -> bool:
        """Whether its messages are made edge by edge."""
        return self.takes_edge_attr

    def reset_parameters(self) -> None:
        super().reset_parameters()
        reset(getattr(self, "lin", None))  # the parent calls this before there is one

    @torch.jit.unused
    def _split(self, x: Tensor) -> Tensor:
        """Nodes or edges first, heads apart: ``[N, D]`` to ``[N, H, d]``."""
        if x.dim() > 2:
            x = x.movedim(self.node_dim, 0)
        if x.size(-1) % self.heads:
            raise ValueError(f"{self.heads} heads cannot share {x.size(-1)} channels evenly")
        return x.unflatten(-1, (self.heads, -1))

    @torch.jit.unused
    def _join(self, x: Tensor) -> Tensor:
        """Back from :meth:`_split`."""
        x = x.flatten(-2)
        return x.movedim(0, self.node_dim) if x.dim() > 2 else x


class GINEConv(GINConv, layer=True):
    r"""PyG's ``GINEConv`` on a weighted graph: a :class:`GINConv` that takes edge attributes.

    .. math::
        \mathbf{x}'_i = h_\Theta \Big( (1 + \epsilon) \, \mathbf{x}_i + \sum_{j \in
        \mathcal{N}(i)} A_{ij} \, \mathrm{ReLU}(\mathbf{x}_j + W \mathbf{e}_{ij}) \Big)

    From `"Strategies for Pre-training Graph Neural Networks" <https://arxiv.org/abs/1905.12265>`_.

    Args:
        nn, eps, train_eps, heads, **kwargs: As in :class:`GINConv`.
        edge_dim (int, optional): Channels of the edge attributes, which W maps to those of x; left
            out, they have as many as x and there is no W.

    Shapes:
        - **x**, **edge_index**, **edge_weight**, **output:** as in :class:`GINConv`
        - **edge_attr:** ``[E, edge_dim]``, or ``[E, D]``
    """

    def __init__(
        self,
        nn: Callable,
        eps: float = 0.0,
        train_eps: bool = False,
        edge_dim: int | None = None,
        **kwargs,
    ):
        super().__init__(nn, eps, train_eps, edge_dim=edge_dim, **kwargs)
        self.takes_edge_attr, self.fuse = True, False

    def forward(
        self,
        x: Union[Tensor, OptPairTensor],
        edge_index: Adj,
        edge_attr: OptTensor = None,
        size: Size = None,
        edge_weight: OptTensor = None,
    ) -> Tensor:
        return self._pass(x, edge_index, size, edge_attr, edge_weight)


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
