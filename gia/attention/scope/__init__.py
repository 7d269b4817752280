"""Which pairs of nodes may be joined at all, in a ragged batch of graphs."""

from gia.attention.scope.base import Scope
from gia.attention.scope.given import InputEdges, InputGraph
from gia.attention.scope.neighbours import NeighborScope
from gia.attention.scope.sequence import CausalScope, FullScope, WindowScope

__all__ = [
    "CausalScope",
    "FullScope",
    "InputEdges",
    "InputGraph",
    "NeighborScope",
    "Scope",
    "WindowScope",
]
