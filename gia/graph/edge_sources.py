"""What edges read: the features of their sources, and what is known of the edges themselves."""

import torch
from torch import Tensor

from gia.ops.csr import CSR
from gia.ops.definition import defined_by
from gia.typing import OptTensor


class EdgeSources:
    """The sources of a list of edges; the matrices with which they are read are made once.

    Args:
        source (Tensor): Of each edge, ``[E]``.
    """

    def __init__(self, source: Tensor):
        self.source = source
        self._ends: CSR | None = None
        self._kinds: tuple[Tensor, CSR] | None = None

    def _index_select(self, x: Tensor, added: Tensor, kind: OptTensor = None) -> Tensor:
        """What :meth:`gather` gives, as it is defined."""
        sent = x.index_select(0, self.source)
        return _rows(sent + (added if kind is None else added[kind]))

    @defined_by(_index_select)
    def gather(self, x: Tensor, added: Tensor, kind: OptTensor = None) -> Tensor:
        """What each edge's source has plus what the edge, or its kind, adds: ``[E, M]``.

        The M channels of a node lie in a row: the result is no view, and may be overwritten.

        Args:
            x (Tensor): Features of the sources, ``[N, ...]``.
            added (Tensor): For each edge, ``[E, ...]``, or for each kind of edge.
            kind (Tensor, optional): The kind of each edge, ``[E]``.
        """
        source, nodes = self.source, x.size(0)
        # As a product with a matrix, whose gradient is several times faster than index_select's.
        edges, rows = source.numel(), _rows(x)
        edge = torch.arange(edges, device=source.device)
        if kind is None:
            if self._ends is None or self._ends.shape[1] != nodes:
                self._ends = CSR(edge, source, (edges, nodes))
            return self._ends.multiply(None, rows) + _rows(added)
        columns = nodes + added.size(0)
        if self._kinds is None or self._kinds[0] is not kind or self._kinds[1].shape[1] != columns:
            both = torch.stack([source, nodes + kind], dim=1).flatten()  # read together
            pattern = CSR(edge.repeat_interleave(2), both, (edges, columns))
            self._kinds = kind, pattern
        rows = torch.cat([rows, _rows(added)])
        return self._kinds[1].multiply(None, rows)


def _rows(x: Tensor) -> Tensor:
    """All channels of a node in a row."""
    return x.reshape(x.size(0), x.shape[1:].numel())
