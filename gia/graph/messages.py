"""Edges that send messages of their own."""

import torch
from torch import Tensor

from gia.graph.base import Adjacency, take
from gia.graph.edges import EdgeAdjacency
from gia.ops.relu import relu_in_place
from gia.typing import OptTensor


class MessageAdjacency(Adjacency):
    r"""Edges whose attributes enter what they send: every operator acts on the messages

    .. math::
        \mathbf{m}_{ij} = \mathrm{ReLU}(\mathbf{x}_j + \mathbf{e}_{ij})

    in place of :math:`\mathbf{x}_j`. They are those of PyG's ``GINEConv``, from `"Strategies for
    Pre-training Graph Neural Networks" <https://arxiv.org/abs/1905.12265>`_. Of ties among the
    messages, the last edge's is taken.

    Args:
        edges (EdgeAdjacency): The edges, ordered by their sources (as far as ties matter); parallel
            edges send a message each.
        encoded (Tensor): What each edge adds, :math:`\mathbf{e}_{ij}`, ``[E, H, d]``, or what each
            kind of edge adds.
        kind (Tensor, optional): The kind of each edge, ``[E]``.

    Raises:
        ValueError: If there is not one row for each edge, or the features have other channels.
    """

    has_messages = True

    def __init__(self, edges: EdgeAdjacency, encoded: Tensor, kind: OptTensor = None):
        number = encoded.size(0) if kind is None else kind.numel()
        if encoded.dim() != 3 or number != edges.edge_index.size(1):
            raise ValueError(
                f"the edges' part of messages must have shape [E, H, d] with "
                f"E = {edges.edge_index.size(1)}, got {list(encoded.shape)} for {number} edges"
            )
        self.edges, self.encoded, self.kind = edges, encoded, kind
        self.num_nodes = edges.num_nodes
        self._last: tuple[Tensor, Tensor] | None = None

    def messages(self, x: Tensor) -> Tensor:
        """What the edges send, ``[E, H, d]``."""
        if self._last is not None and self._last[0] is x:  # several operators on the same features
            return self._last[1]
        if x.shape[1:] != self.encoded.shape[1:]:
            raise ValueError(
                f"the messages of input edges have {list(self.encoded.shape[1:])} heads and "
                f"channels, but the features have {list(x.shape[1:])}: such a layer takes input "
                "edges without messages (given=added)"
            )
        rows = self.edges.sources.gather(x, self.encoded.to(x.dtype), self.kind)
        # In place before it becomes a view: the gradient of a changed view is copied.
        messages = relu_in_place(rows).view(-1, *x.shape[1:])
        self._last = (x, messages)
        return messages

    def sum(self, x: Tensor) -> Tensor:
        return self.edges.incidence().sum(self.messages(x))

    def squares(self, x: Tensor) -> Tensor:
        return self.edges.incidence().sum(self.messages(x).square())

    def argmax(self, x: Tensor) -> Tensor:
        return self.extreme(x, 1)[1]

    def max(self, x: Tensor) -> Tensor:
        return self.extreme(x, 1)[0]

    def min(self, x: Tensor) -> Tensor:
        return self.extreme(x, -1)[0]

    def extreme(self, x: Tensor, sign: int) -> tuple[Tensor, Tensor]:
        messages = self.messages(x)
        edge = self.edges.incidence().argmax(messages if sign > 0 else -messages)
        source = self.edges.edge_index[0]
        if source.numel() == 0:
            return take(messages, edge), edge
        return take(messages, edge), torch.where(edge < 0, -1, source[edge.clamp(min=0)])

    def degree(self) -> Tensor:
        return self.edges.degree()

    def count(self) -> Tensor:
        return self.edges.count()

    def in_precision(self, dtype: torch.dtype) -> "MessageAdjacency":
        edges = self.edges.in_precision(dtype)
        return self if edges is self.edges else MessageAdjacency(edges, self.encoded, self.kind)

    def to_edges(self) -> EdgeAdjacency:
        """The edges with their weights; what they send is left behind."""
        return self.edges
