"""Which pairs of nodes may be joined at all, in a ragged batch of graphs."""

from gia.attention.scope.compose import IntersectionScope, Scope, ScopeOf, UnionScope
from gia.attention.scope.given import InputEdges, InputGraph
from gia.attention.scope.neighbours import NeighborScope
from gia.attention.scope.sequence import CausalScope, FullScope, GlobalScope, WindowScope

__all__ = [
    "CausalScope",
    "FullScope",
    "GlobalScope",
    "InputEdges",
    "InputGraph",
    "IntersectionScope",
    "NeighborScope",
    "Scope",
    "ScopeOf",
    "UnionScope",
    "WindowScope",
]
