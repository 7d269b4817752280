"""The weighted sum: what plain attention does with its graph."""

from torch import Tensor
from torch_geometric.nn import MessagePassing
from torch_geometric.typing import SparseTensor

from gia.graph import Adjacency
from gia.nn.conv.explain import explained
from gia.nn.conv.inputs import as_adjacency
from gia.typing import OptTensor


class WeightedSumConv(MessagePassing):
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

    def forward(
        self,
        x: Tensor,
        edge_index: Adjacency | Tensor | SparseTensor,
        *,
        edge_weight: OptTensor = None,
    ) -> Tensor:
        adjacency = as_adjacency(edge_index, edge_weight, num_nodes=x.size(0), flow=self.flow)
        messages = x.unflatten(-1, (self.heads, -1))  # [N, H, d]
        if self.explain:
            edges = adjacency.to_edges()
            messages = explained(self, messages.index_select(0, edges.edge_index[0]), adjacency)
            adjacency = edges.incidence()
        return adjacency.sum(messages).flatten(1)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(heads={self.heads})"
