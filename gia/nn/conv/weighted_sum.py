"""The weighted sum: what plain attention does with its graph."""

# ruff: noqa: UP045 (PyG's templates and TorchScript read the older spelling)

from typing import Optional

from torch import Tensor
from torch_geometric.typing import Adj, OptTensor

from gia.nn.conv.inputs import as_adjacency
from gia.nn.conv.message_passing import WeightedMessagePassing, arriving


class WeightedSumConv(WeightedMessagePassing, layer=True):
    r"""Plain attention as message passing: the baseline that the other layers are held against.

    .. math::
        \mathbf{x}'_i = \sum_{j \in \mathcal{N}(i)} A_{ij} \, \mathbf{x}_j

    With values as x and softmax attention as A this is `"Attention Is All You Need"
    <https://arxiv.org/abs/1706.03762>`_, eq. 1.

    Args:
        heads (int): Heads H; they share the channels of x evenly.
        **kwargs: Of :class:`torch_geometric.nn.conv.MessagePassing`.

    Shapes:
        - **x:** ``[N, D]``
        - **edge_index:** ``[2, E]``, a sparse ``adj_t``, or an :class:`~gia.graph.Adjacency`
        - **edge_weight:** ``[E]`` or ``[E, H]``
        - **output:** ``[N, D]``
    """

    def __init__(self, heads: int = 1, **kwargs):
        super().__init__(aggr="sum", **kwargs)
        self.heads = heads

    def forward(self, x: Tensor, edge_index: Adj, edge_weight: OptTensor = None) -> Tensor:
        if self.is_plain():
            nodes = x.size(0)
            adjacency = as_adjacency(edge_index, edge_weight, num_nodes=nodes, flow=self.flow)
            return adjacency.sum(x.unflatten(-1, (self.heads, -1))).flatten(1)
        call = self.call(edge_index, edge_weight, x.size(0), x.size(0))
        # propagate_type: (x: Tensor, edge_weight: OptTensor, adj_weight: OptTensor,
        #                  adj_head: OptTensor)
        return self.propagate(
            call.edge_index,
            x=x,
            edge_weight=call.edge_weight,
            adj_weight=call.adj_weight,
            adj_head=call.adj_head,
            size=call.size,
        )

    def message(self, x_j: Tensor) -> Tensor:
        return x_j

    def aggregate(
        self,
        inputs: Tensor,
        index: Tensor,
        ptr: Optional[Tensor] = None,
        dim_size: Optional[int] = None,
        adj_weight: OptTensor = None,
        adj_head: OptTensor = None,
    ) -> Tensor:
        graph = arriving(index, ptr, dim_size, adj_weight, adj_head, self.heads)
        return graph.sum(inputs.unflatten(-1, (self.heads, -1))).flatten(1)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(heads={self.heads})"
