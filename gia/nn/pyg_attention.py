"""Any of PyG's layers as what attention does with its graph."""

from collections.abc import Callable

from torch import nn

from gia.attention import AttentionAdjacency
from gia.nn.attention import GraphAttention
from gia.nn.pyg_conv import check_conv, fitted


class PyGAttention(GraphAttention):
    """Any of PyG's layers over the graph of attention, built to fit where it is not said otherwise.

    Args:
        width (int): Channels D of a node.
        heads (int): Heads H of the graph.
        adjacency (nn.Module): The graph.
        conv (callable): The layer's class, ``functools.partial`` of it, or the layer itself. Left
            out of a partial, ``in_channels`` and ``out_channels`` are the width (that of all heads
            together), ``edge_dim`` is H, and ``nn`` a network with one hidden layer.

    Raises:
        ValueError: If the layer does not fit the width and the heads, or cannot be called over
            attention graphs.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        adjacency: AttentionAdjacency,
        conv: nn.Module | Callable[..., nn.Module],
    ):
        conv = fitted(conv, width, heads)
        check_conv(conv, width, heads)
        super().__init__(adjacency=adjacency, conv=conv)
