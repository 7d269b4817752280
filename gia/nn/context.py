"""What the blocks of a stack know of the graphs at hand."""

from itertools import pairwise

import torch
from torch import Tensor

from gia.attention import InputGraph, Scope
from gia.typing import OptTensor


class GraphContext:
    """The graphs of a batch as all blocks of a stack see them, made once a batch by the model.

    Attention reads the scope and the angles, PyG's layers the data's edges and ``batch``. What a
    stack does not ask for is not made.

    Args:
        scope (Scope): Which nodes attention may join.
        rotary (Tensor, optional): Angles of the nodes' positions, ``[2, N, 1, d]``.
        given (InputGraph, optional): The data's own edges.
        batch (Tensor, optional): The graph of each node, ``[N]``, where it is known already.
        seq_pos (Tensor, optional): The place of each node in its sequence, ``[N]``.

    Shapes:
        - **edge_index:** ``[2, E]``
        - **edge_attr:** ``[E, F]``, or None where nothing is known of the edges
        - **batch:** ``[N]``
    """

    def __init__(
        self,
        scope: Scope,
        rotary: OptTensor = None,
        given: InputGraph | None = None,
        batch: OptTensor = None,
        seq_pos: OptTensor = None,
    ):
        self.scope, self.rotary, self.given = scope, rotary, given
        self._batch, self._seq_pos = batch, seq_pos
        self._sequence_sizes: list[int] | None = None
        self._edges: tuple[Tensor, OptTensor] | None = None

    @property
    def edge_index(self) -> Tensor:
        """The data's edges; under a causal scope those whose source is not after the target.

        Raises:
            ValueError: If the data has none.
        """
        return self._given_edges()[0]

    @property
    def edge_attr(self) -> OptTensor:
        """What is known of each of these edges."""
        return self._given_edges()[1]

    @property
    def batch(self) -> Tensor:
        """The graph of each node."""
        if self._batch is None:
            sizes = self.scope.ptr.diff()
            number = torch.arange(sizes.numel(), device=sizes.device)
            nodes = self.scope.num_nodes
            self._batch = number.repeat_interleave(sizes, output_size=nodes)
        return self._batch

    @property
    def sequence_sizes(self) -> list[int]:
        """Nodes of each sequence: of a graph, or of a part of one where ``seq_pos`` starts again.

        Raises:
            ValueError: If the data does not say in which order its nodes stand.
        """
        if self._sequence_sizes is None:
            if self._seq_pos is None:
                raise ValueError(
                    "the block reads nodes in the order of a sequence, but the data has no "
                    "seq_pos: give each node its place in its sequence, from 0, or choose a model "
                    "of graphs"
                )
            starts = torch.ones_like(self._seq_pos, dtype=torch.bool)
            starts[1:] = self._seq_pos.diff() <= 0
            starts[self.scope.first_node] = True
            ends = [*starts.nonzero().flatten().tolist(), self.scope.num_nodes]
            self._sequence_sizes = [stop - start for start, stop in pairwise(ends)]
        return self._sequence_sizes

    def _given_edges(self) -> tuple[Tensor, OptTensor]:
        if self._edges is None:
            if self.given is None:
                raise ValueError(
                    "the block passes messages over the data's edges, but the data has no "
                    "edge_index"
                )
            edge_index, attr = self.given.edge_index, self.given.edge_attr
            if attr is not None and self.given.kind is not None:
                attr = attr.index_select(0, self.given.kind)
            if attr is not None:
                attr = attr.unsqueeze(1) if attr.dim() == 1 else attr
            if self.scope.causal:
                past = edge_index[0] <= edge_index[1]
                edge_index, attr = edge_index[:, past], None if attr is None else attr[past]
            self._edges = edge_index, attr
        return self._edges
