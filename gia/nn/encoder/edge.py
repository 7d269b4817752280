"""From what an edge is to the vector that stands for it."""

from collections.abc import Sequence

from torch import Tensor, nn
from torch_geometric.data import Data

from gia.nn.encoder.features import Features
from gia.typing import OptTensor


class EdgeEncoder(nn.Module):
    """What an edge is: :class:`Features` of ``data.edge_attr``.

    Args:
        width (int): Channels of an edge.
        categories (list of int): Size of each categorical column.
        channels (int): Continuous columns.

    Shapes:
        - **data.edge_attr:** ``[E, F]``; it may be left out where nothing is known
        - **output:** ``[E, width]``

    Raises:
        ValueError: If the data has not what the encoder takes.
    """

    def __init__(self, width: int, *, categories: Sequence[int] = (), channels: int = 0):
        super().__init__()
        self.features = Features(width, categories=categories, channels=channels)

    def forward(self, data: Data) -> Tensor:
        return self.features(data.get("edge_attr"), data.edge_index.size(1))

    def of_kinds(self, data: Data) -> tuple[Tensor, OptTensor]:
        """The vectors of all kinds of edges, ``[U, width]``, and the kind of each edge, ``[E]``.

        Kinds that are too many, or continuous, are not told apart: a vector for each edge, and
        None.
        """
        return self.features.of_kinds(data.get("edge_attr"), data.edge_index.size(1))
