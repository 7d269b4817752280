"""The shape legend and the types that every module of gia shares.

====  =============================================  ===================================
sym.  meaning                                        example
====  =============================================  ===================================
N     nodes (tokens) in a batch                      ``x [N, D]``
E     edges in a batch                               ``edge_index [2, E]``
B     graphs (sequences) in a batch                  ``ptr [B + 1]``
L     nodes in the longest graph of a batch          padded ``[B, L, H, d]``
H     heads                                          ``edge_weight [E, H]``
d     channels of a head                             ``q [N, H, d]``
D     channels of a node, ``D = H * d``              ``x [N, D]``
V     symbols in the vocabulary                      ``logits [N, V]``
====  =============================================  ===================================

Edges point from a source j to a target i: ``edge_index[0]`` holds j, ``edge_index[1]`` holds i, as
everywhere in PyTorch Geometric. Row i of an adjacency A holds the weights of what arrives at i.
"""

from typing import Literal, TypeAlias

from torch import Tensor

OptTensor: TypeAlias = Tensor | None

Form: TypeAlias = Literal["auto", "fused", "dense", "edges"]
"""How an adjacency is computed; every form has the same values and the same gradients."""
