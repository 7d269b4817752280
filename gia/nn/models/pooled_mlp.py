"""The baseline without edges: what the nodes alone can tell."""

from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn.aggr import Aggregation

from gia.nn.block import MLPBlock
from gia.nn.graph_features import GraphFeatures
from gia.nn.head import Level, Readout
from gia.nn.stack import Stack


class PooledMLP(nn.Module):
    """An MLP on pooled features, without any message.

    It stands apart from :class:`~gia.nn.GraphTransformer` since it pools before its blocks.

    Args:
        encoder (nn.Module): ``encoder(data)``, a vector for each node, ``[N, D]``.
        block (MLPBlock): Copied ``depth`` times.
        depth (int): Number of blocks.
        head (nn.Module), features (GraphFeatures, optional): As in
            :class:`~gia.nn.GraphTransformer`.
        norm (nn.Module, optional): After the last block; none if left out.
        pool (Aggregation, optional), level (str): As in :class:`~gia.nn.GraphTransformer`; for
            nodes nothing is pooled.
        dropout (float), width, heads (int): Shared by the parts of a configuration, where they are
            read.

    Shapes:
        - **data:** nodes of B graphs
        - **output:** ``[B, out_channels]``, or ``[N, out_channels]`` for nodes
    """

    def __init__(
        self,
        *,
        encoder: nn.Module,
        block: MLPBlock,
        depth: int,
        head: nn.Module,
        norm: nn.Module | None = None,
        pool: Aggregation | None = None,
        level: Level = "graph",
        dropout: float = 0.0,
        width: int | None = None,
        heads: int | None = None,
        features: GraphFeatures | None = None,
    ):
        super().__init__()
        self.encoder = encoder
        self.blocks = Stack(block, depth)
        self.norm = nn.Identity() if norm is None else norm
        self.head = Readout(head, pool, level, features)

    @property
    def pools_first(self) -> bool:
        """Whether the blocks read graphs, and not nodes."""
        return self.head.pool is not None

    def forward(self, data: Data) -> Tensor:
        x = self.head.pooled(self.encoder(data), data)
        return self.head.predict(self.norm(self.blocks(x, None)), data)
