"""The graph-aware transformer for graphs: molecules, proteins, labelled sequences."""

from collections.abc import Callable, Sequence

from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn.aggr import Aggregation

from gia.attention import FullScope, InputGraph, Rotary, Scope
from gia.nn.graph_features import GraphFeatures
from gia.nn.head import Level, Readout
from gia.nn.models.transformer import Transformer


class GraphTransformer(Transformer):
    """Blocks of attention over a graph's nodes that know its edges, or of PyG's layers over these
    edges, or of both; then a prediction.

    Args:
        encoder (nn.Module): ``encoder(data)``, a vector for each node, ``[N, D]``.
        edge_encoder (nn.Module, optional): ``edge_encoder.of_kinds(data)``, a vector for each kind
            of given edge, ``[U, F]``, and the kind of each, as :class:`~gia.nn.EdgeEncoder` has it:
            what biases and messages of the blocks read. Left out where no block reads edges.
        block (nn.Module or list of nn.Module), depth (int): As for :class:`Transformer`.
        head (nn.Module): From a vector to the prediction, ``[*, D]`` to ``[*, out_channels]``; with
            ``features`` they come in behind, ``[*, D + F]``.
        width (int): Channels D of a node.
        heads (int): Heads H of the blocks' attention.
        pool (Aggregation, optional): From nodes to graphs, one of PyG's
            ``torch_geometric.nn.aggr``.
        level (str): ``"graph"``, or ``"node"`` for a prediction for each node, without ``pool``.
        scope (callable): Which nodes may be joined, as for :class:`Transformer`.
        ordered (bool): Whether nodes stand in a sequence: rotary positions from ``data.seq_pos``.
        dropout (float): Shared by the parts of a configuration, where it is read.
        norm (nn.Module, optional): Before the head; RMSNorm if left out.
        features (GraphFeatures, optional): Reads ``data.graph_features``, numbers of whole graphs.

    Shapes:
        - **data:** nodes of B graphs, as for :class:`Transformer`
        - **output:** ``[B, out_channels]``, or ``[N, out_channels]`` for nodes
    """

    def __init__(
        self,
        *,
        encoder: nn.Module,
        edge_encoder: nn.Module | None = None,
        block: nn.Module | Sequence[nn.Module],
        depth: int,
        head: nn.Module,
        width: int,
        heads: int,
        pool: Aggregation | None = None,
        level: Level = "graph",
        scope: Callable[..., Scope] = FullScope,
        ordered: bool = False,
        dropout: float = 0.0,
        norm: nn.Module | None = None,
        features: GraphFeatures | None = None,
    ):
        super().__init__(
            encoder=encoder,
            block=block,
            depth=depth,
            head=Readout(head, pool, level, features),
            scope=scope,
            width=width,
            rotary=Rotary(width // heads) if ordered else None,
            norm=norm,
        )
        self.edge_encoder = edge_encoder

    def _read_out(self, x: Tensor, data: Data) -> Tensor:
        return self.head(x, data)

    def _given(self, data: Data) -> InputGraph | None:
        if self.edge_encoder is None:
            return None
        if data.get("edge_index") is None:
            raise ValueError(
                "the data has no edge_index: a graph without edges has one of shape [2, 0]"
            )
        return InputGraph(data.edge_index, *self.edge_encoder.of_kinds(data))
