"""Changes of single items, in PyG's way."""

from gia.data.transforms.chain import Chain, chain
from gia.data.transforms.laplacian import LaplacianPE, laplacian_eigenvectors
from gia.data.transforms.next_token import SEPARATOR, NextToken, label_token
from gia.data.transforms.steps import Steps, described, in_order

__all__ = [
    "SEPARATOR",
    "Chain",
    "LaplacianPE",
    "NextToken",
    "Steps",
    "chain",
    "described",
    "in_order",
    "label_token",
    "laplacian_eigenvectors",
]
