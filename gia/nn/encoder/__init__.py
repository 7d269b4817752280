"""From what is known of nodes and edges to vectors."""

from gia.nn.encoder.edge import EdgeEncoder
from gia.nn.encoder.encodings import EncodingEncoder, LaplacianEncoder
from gia.nn.encoder.features import Features
from gia.nn.encoder.node import NodeEncoder

__all__ = [
    "EdgeEncoder",
    "EncodingEncoder",
    "Features",
    "LaplacianEncoder",
    "NodeEncoder",
]
