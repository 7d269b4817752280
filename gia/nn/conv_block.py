"""Blocks of PyG's layers over the data's own edges."""

import copy

from torch import Tensor, nn
from torch_geometric.nn import CGConv, GINEConv, GPSConv, TransformerConv
from torch_geometric.nn.norm import BatchNorm

from gia.attention import Memory
from gia.nn.block import MLPBlock
from gia.nn.context import GraphContext
from gia.nn.pyg_conv import channels_of, is_causal, over_given, takes, takes_given_attr, tell


class ConvBlock(MLPBlock):
    """``x + conv(norm(x), edge_index, edge_attr)``, then ``x + mlp(norm(x))``.

    Args:
        conv (nn.Module): Any of PyG's layers, or of ours, ``[N, D]`` to ``[N, D]``. One that takes
            no ``edge_attr`` is given the edges alone, which is said once.
        norm, mlp, dropout: As in :class:`MLPBlock`; the norm is copied.

    Shapes:
        - **x**, **output:** ``[N, D]``
        - **graphs.edge_index:** ``[2, E]``
        - **graphs.edge_attr:** ``[E, F]``

    Raises:
        ValueError: If the layer gives other channels than it takes, or scales by a mean degree
            of 0.
    """

    continuable = False

    def __init__(self, *, conv: nn.Module, norm: nn.Module, mlp: nn.Module, dropout: float = 0.0):
        super().__init__(norm=norm, mlp=mlp, dropout=dropout)
        self.conv_norm = copy.deepcopy(norm)
        self.conv = conv
        self.takes = "edge_attr" if takes_given_attr(conv) else takes(conv)
        _check_channels(conv)
        _check_degrees(conv)
        if self.takes != "edge_attr":
            tell(
                f"{type(conv).__name__} takes no attributes of edges here: it is given the data's "
                "edges alone"
            )

    def forward(self, x: Tensor, graphs: GraphContext, memory: Memory | None = None) -> Tensor:
        _check_memory(self, memory)
        normed, edge_attr = self.conv_norm(x), None
        edge_index = graphs.edge_index
        if self.takes == "edge_attr":
            edge_attr = graphs.edge_attr
        x = x + self.dropout(over_given(self.conv, self.takes, normed, edge_index, edge_attr))
        return super().forward(x, graphs)

    @property
    def causal(self) -> bool:
        """Whether a node's output is the same whatever comes after it, over causal edges."""
        return is_causal(self.conv, None, getattr(self.conv, "edge_dim", None))


class PlainConvBlock(nn.Module):
    """``conv(x, edge_index, edge_attr)``, for a layer with norms and a residual of its own, such as
    PyG's ``CGConv``.

    Args:
        conv (nn.Module): Any of PyG's layers, ``[N, D]`` to ``[N, D]``.

    Shapes:
        - **x**, **output:** ``[N, D]``
        - **graphs.edge_index:** ``[2, E]``
        - **graphs.edge_attr:** ``[E, F]``
    """

    continuable = False

    def __init__(self, conv: nn.Module):
        super().__init__()
        self.conv, self.takes = conv, takes(conv)

    def forward(self, x: Tensor, graphs: GraphContext, memory: Memory | None = None) -> Tensor:
        _check_memory(self, memory)
        edge_attr = graphs.edge_attr if self.takes == "edge_attr" else None
        return over_given(self.conv, self.takes, x, graphs.edge_index, edge_attr)

    @property
    def causal(self) -> bool:
        """Whether a node's output is the same whatever comes after it, over causal edges."""
        return is_causal(self.conv, None, getattr(self.conv, "edge_dim", None))


def _check_memory(block: nn.Module, memory: Memory | None) -> None:
    if memory is not None:
        raise ValueError(
            f"{type(block).__name__} cannot be continued with a cache: use_cache=False does without"
        )


def _check_degrees(conv: nn.Module) -> None:
    degree = getattr(getattr(conv, "aggr_module", None), "avg_deg_lin", None)
    if degree is not None and not degree.is_meta and not float(degree) > 0:
        raise ValueError(
            f"{type(conv).__name__} divides by the mean degree of the training graphs, but these "
            "have no edges: give the data edges, or choose another model"
        )


def _check_channels(conv: nn.Module) -> None:
    """Raise a ValueError if a layer tells that it gives other channels than it takes."""
    given, made = channels_of(conv), getattr(conv, "out_channels", None)
    if given is None or not isinstance(made, int):
        return
    heads = getattr(conv, "heads", 1) if getattr(conv, "concat", False) else 1
    if made * heads != given:
        raise ValueError(
            f"{type(conv).__name__} makes {made * heads} channels of {given}, but what it makes is "
            f"added to its input: its out_channels must be {given / heads:g}"
        )


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


def cg_conv(width: int, edge_dim: int) -> CGConv:
    """PyG's ``CGConv`` with a batch norm that takes a batch of one node, ``[N, D]`` to ``[N, D]``.

    `"Crystal Graph Convolutional Neural Networks"
    <https://doi.org/10.1103/PhysRevLett.120.145301>`_.

    Args:
        width (int): Channels D of a node.
        edge_dim (int): Channels of an edge.
    """
    conv = CGConv(width, edge_dim, batch_norm=True)
    conv.bn = BatchNorm(width, allow_single_element=True)
    return conv


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
        - **graphs.edge_index:** ``[2, E]``
        - **graphs.edge_attr:** ``[E, F]``
        - **graphs.batch:** the graph of each node, ``[N]``
    """

    continuable = False
    causal = False  # its attention sees all nodes of a graph

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
        if width % heads:
            raise ValueError(
                f"the number of heads must divide the width: {heads} heads, {width} wide"
            )
        first = mlp[0] if isinstance(mlp, nn.Sequential) else mlp
        if not (hasattr(first, "in_features") or hasattr(first, "in_channels")):
            raise ValueError(
                "GINE's network must begin with a layer that tells its in_features, got "
                f"{type(mlp).__name__}: use ReLUMLP (mlp=relu)"
            )
        self.conv = GPSConv(
            width,
            GINEConv(mlp, edge_dim=edge_dim),
            heads=heads,
            dropout=dropout,
            norm_kwargs={"allow_single_element": True},  # a batch may be one node
            attn_kwargs={"dropout": attention_dropout},
        )

    def forward(self, x: Tensor, graphs: GraphContext, memory: Memory | None = None) -> Tensor:
        return self.conv(x, graphs.edge_index, graphs.batch, edge_attr=graphs.edge_attr)
