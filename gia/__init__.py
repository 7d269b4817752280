"""Graph-aware transformers: attention as a graph, message passing with GIN and PNA."""

__version__ = "0.1.0"
