"""From what is known of nodes and edges to vectors."""

from gia.nn.encoder.features import EdgeEncoder, NodeEncoder
from gia.nn.encoder.token import TokenEncoder

__all__ = [
    "EdgeEncoder",
    "NodeEncoder",
    "TokenEncoder",
]
