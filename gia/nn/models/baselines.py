"""Networks of PyG's own layers, which ours are held against in the same harness."""

import copy

import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import GINEConv, GPSConv, MessagePassing, TransformerConv
from torch_geometric.nn.aggr import Aggregation

from gia.nn.copies import copies
from gia.nn.head import Level, Readout
from gia.typing import OptTensor


class ReLUMLP(nn.Sequential):
    r""":math:`W_o \, \mathrm{ReLU}(W_i \mathbf{x} + b_i) + b_o` with dropout between.

    Args:
        width (int): Channels D of a node.
        hidden (int): Hidden channels.
        dropout (float): Dropout on the hidden channels.

    Shapes:
        - **x**, **output:** ``[N, D]``
    """

    def __init__(self, width: int, hidden: int, *, dropout: float = 0.0):
        super().__init__(
            nn.Linear(width, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, width)
        )


class MLPBlock(nn.Module):
    """``x + mlp(norm(x))``: each node alone.

    Args:
        norm (nn.Module): One of PyG's, such as :class:`torch_geometric.nn.norm.BatchNorm`.
        mlp (nn.Module): ``[N, D]`` to ``[N, D]``.
        dropout (float): Dropout on what is added.

    Shapes:
        - **x**, **output:** ``[N, D]``
    """

    def __init__(self, *, norm: nn.Module, mlp: nn.Module, dropout: float = 0.0):
        super().__init__()
        self.norm = norm
        self.mlp = mlp
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.dropout(self.mlp(self.norm(x)))


class ConvBlock(MLPBlock):
    """``x + conv(norm(x), edge_index, edge_attr)``, then ``x + mlp(norm(x))``.

    Args:
        conv (MessagePassing): One of PyG's layers that reads edge attributes, ``[N, D]`` to
            ``[N, D]``.
        norm, mlp, dropout: As in :class:`MLPBlock`; the norm is copied.

    Shapes:
        - **x**, **output:** ``[N, D]``
        - **edge_index:** ``[2, E]``
        - **edge_attr:** ``[E, F]``
        - **batch:** the graph of each node, ``[N]``; not read
    """

    def __init__(
        self, *, conv: MessagePassing, norm: nn.Module, mlp: nn.Module, dropout: float = 0.0
    ):
        super().__init__(norm=norm, mlp=mlp, dropout=dropout)
        self.conv_norm = copy.deepcopy(norm)
        self.conv = conv

    def forward(
        self, x: Tensor, edge_index: Tensor, edge_attr: Tensor, batch: OptTensor = None
    ) -> Tensor:
        x = x + self.dropout(self.conv(self.conv_norm(x), edge_index, edge_attr))
        return super().forward(x)


def transformer_conv(width: int, heads: int, **kwargs) -> TransformerConv:
    """PyG's ``TransformerConv`` whose heads share the channels evenly, ``[N, D]`` to ``[N, D]``.

    `"Masked Label Prediction" <https://arxiv.org/abs/2009.03509>`_.

    Args:
        width (int): Channels D of a node.
        heads (int): Heads.
        **kwargs: Of :class:`torch_geometric.nn.TransformerConv`.

    Raises:
        ValueError: If the heads do not divide the width.
    """
    if width % heads:
        raise ValueError(f"the number of heads must divide the width: {heads} heads, {width} wide")
    return TransformerConv(width, width // heads, heads, **kwargs)


class GPSBlock(nn.Module):
    """PyG's ``GPSConv``: GINE over the edges and attention over all nodes, side by side.

    `"Recipe for a General, Powerful, Scalable Graph Transformer"
    <https://arxiv.org/abs/2205.12454>`_. It has norms, residuals and an MLP of its own.

    Args:
        width (int): Channels D of a node.
        heads (int): Heads of the attention.
        mlp (nn.Module): The network inside GINE, ``[N, D]`` to ``[N, D]``.
        edge_dim (int): Channels F of the edge attributes.
        dropout (float): Dropout on what each part adds.
        attention_dropout (float): Dropout on the attention's weights.

    Shapes:
        - **x**, **output:** ``[N, D]``
        - **edge_index:** ``[2, E]``
        - **edge_attr:** ``[E, F]``
        - **batch:** the graph of each node, ``[N]``
    """

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        mlp: nn.Module,
        edge_dim: int,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
    ):
        super().__init__()
        self.conv = GPSConv(
            width,
            GINEConv(mlp, edge_dim=edge_dim),
            heads=heads,
            dropout=dropout,
            norm_kwargs={"allow_single_element": True},  # a batch may be one node
            attn_kwargs={"dropout": attention_dropout},
        )

    def forward(
        self, x: Tensor, edge_index: Tensor, edge_attr: Tensor, batch: OptTensor = None
    ) -> Tensor:
        return self.conv(x, edge_index, batch, edge_attr=edge_attr)


class _Network(nn.Module):
    """What networks of copied blocks share: the arguments are those of :class:`GraphNetwork`."""

    def __init__(
        self,
        *,
        encoder: nn.Module,
        block: nn.Module,
        depth: int,
        head: nn.Module,
        norm: nn.Module | None = None,
        pool: Aggregation | None = None,
        level: Level = "graph",
        dropout: float = 0.0,
        width: int | None = None,
        heads: int | None = None,
    ):
        super().__init__()
        self.encoder = encoder
        self.blocks = nn.ModuleList(copies(block, depth))
        self.norm = nn.Identity() if norm is None else norm
        self.head = Readout(head, pool, level)


class GraphNetwork(_Network):
    """A stack of message-passing blocks between the encoders and the head of our models.

    Args:
        encoder (nn.Module): ``encoder(data)``, a vector for each node, ``[N, D]``.
        edge_encoder (nn.Module): ``edge_encoder(data)``, a vector for each edge, ``[E, F]``.
        block (nn.Module): ``block(x, edge_index, edge_attr, batch)``, copied ``depth`` times.
        depth (int): Number of blocks.
        head (nn.Module): From a vector to the prediction, ``[*, D]`` to ``[*, out_channels]``.
        norm (nn.Module, optional): After the last block; none if left out.
        pool (Aggregation, optional), level (str): As in :class:`~gia.nn.GraphTransformer`.
        dropout (float), width, heads (int): Shared by the parts of a configuration, where they are
            read.

    Shapes:
        - **data:** nodes and edges of B graphs
        - **output:** ``[B, out_channels]``, or ``[N, out_channels]`` for nodes
    """

    def __init__(self, *, edge_encoder: nn.Module, **kwargs):
        super().__init__(**kwargs)
        self.edge_encoder = edge_encoder

    def forward(self, data: Data) -> Tensor:
        x, edge_attr = self.encoder(data), self.edge_encoder(data)
        batch = data.get("batch")
        if batch is None:  # a single Data is a batch of one
            batch = torch.zeros(x.size(0), dtype=torch.long, device=x.device)
        for block in self.blocks:
            x = block(x, data.edge_index, edge_attr, batch)
        return self.head(self.norm(x), data)


class PooledMLP(_Network):
    """An MLP on pooled features, without any message: what the nodes alone can tell.

    Args:
        encoder (nn.Module): ``encoder(data)``, a vector for each node, ``[N, D]``.
        block (MLPBlock): Copied ``depth`` times.
        depth, head, norm, pool, level, dropout, width, heads: As in :class:`GraphNetwork`; for
            nodes nothing is pooled.

    Shapes:
        - **data:** nodes of B graphs
        - **output:** ``[B, out_channels]``, or ``[N, out_channels]`` for nodes
    """

    def forward(self, data: Data) -> Tensor:
        x = self.head.pooled(self.encoder(data), data)
        for block in self.blocks:
            x = block(x)
        return self.head.head(self.norm(x))
