"""Pre-norm blocks, and what every block of a stack is asked for.

A block is called as ``block(x, graphs, memory=None)`` with nodes ``[N, D]`` and a
:class:`~gia.nn.GraphContext`. If it draws a graph of its own it has ``graph(x, graphs)``; if a
cache can continue what it does, ``continuable`` is True; if it lets a node see what comes after it,
``causal`` is False.
"""

import copy

from torch import Tensor, nn

from gia.attention import Memory
from gia.graph import Adjacency
from gia.nn.attention import GraphAttention
from gia.nn.context import GraphContext
from gia.nn.dropout import Dropout
from gia.nn.norm import RMSNorm


class Block(nn.Module):
    """``x + attention(norm(x))``, then ``x + mlp(norm(x))``.

    Args:
        width (int): Channels D of a node.
        attention (GraphAttention): Draws a graph and passes messages over it.
        mlp (nn.Module, optional): ``[N, D]`` to ``[N, D]``; left out, the block is attention alone.
            If it has ``takes_adjacency = True``, as :class:`~gia.nn.GINMLP`, it is given the
            attention's graph too.
        dropout (float): Dropout on what each of the two adds.
        norm (nn.Module, optional): Copied for each of the two; RMSNorm if left out.

    Shapes:
        - **x**, **output:** ``[N, D]``
    """

    def __init__(
        self,
        width: int,
        *,
        attention: GraphAttention,
        mlp: nn.Module | None = None,
        dropout: float = 0.0,
        norm: nn.Module | None = None,
    ):
        super().__init__()
        norm = RMSNorm(width) if norm is None else norm
        self.attention_norm = copy.deepcopy(norm)
        self.attention = attention
        self.mlp_norm = copy.deepcopy(norm) if mlp is not None else None
        self.mlp = mlp
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, graphs: GraphContext, memory: Memory | None = None) -> Tensor:
        normed = self.attention_norm(x)
        graph = self.attention.graph(normed, graphs.scope, graphs.rotary, memory)
        x = x + self.dropout(self.attention.propagate(normed, graph, graphs.scope))
        if self.mlp is not None:
            normed = self.mlp_norm(x)
            passes_messages = getattr(self.mlp, "takes_adjacency", False)
            x = x + self.dropout(self.mlp(normed, graph) if passes_messages else self.mlp(normed))
        return x

    def graph(self, x: Tensor, graphs: GraphContext) -> Adjacency:
        """The attention graph that :meth:`forward` passes messages over."""
        return self.attention.graph(self.attention_norm(x), graphs.scope, graphs.rotary)

    @property
    def continuable(self) -> bool:
        """Whether a cache can continue what the block does."""
        return self.attention.continuable


class MLPBlock(nn.Module):
    """``x + mlp(norm(x))``: each node alone.

    Args:
        norm (nn.Module): Such as :class:`torch_geometric.nn.norm.BatchNorm`.
        mlp (nn.Module): ``[N, D]`` to ``[N, D]``.
        dropout (float): Dropout on what is added.

    Shapes:
        - **x**, **output:** ``[N, D]``
    """

    continuable = True

    def __init__(self, *, norm: nn.Module, mlp: nn.Module, dropout: float = 0.0):
        super().__init__()
        self.norm = norm
        self.mlp = mlp
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, x: Tensor, graphs: GraphContext | None = None, memory: Memory | None = None
    ) -> Tensor:
        return x + self.dropout(self.mlp(self.norm(x)))
