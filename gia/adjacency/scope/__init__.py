"""Which pairs of nodes may be joined at all, in a ragged batch of graphs."""

from gia.adjacency.scope.base import Scope
from gia.adjacency.scope.given import Given
from gia.adjacency.scope.neighbours import GivenScope
from gia.adjacency.scope.sequence import CausalScope, FullScope, WindowScope

__all__ = ["CausalScope", "FullScope", "Given", "GivenScope", "Scope", "WindowScope"]
