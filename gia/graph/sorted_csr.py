"""Sparse matrices whose order is known already: nothing is sorted again."""

from functools import cached_property

import torch
from torch import Tensor
from torch_geometric import EdgeIndex

from gia.ops.csr import CSR


class SortedCSR(CSR):
    """A sparse matrix whose entries come by row, and where each row begins is known.

    Args:
        row, col (Tensor): Place of each entry, ``[E]``, in the order of the rows.
        rowptr (Tensor): Where each row begins, ``[R + 1]``.
        shape (pair of int): Rows and columns R, C.
    """

    def __init__(self, row: Tensor, col: Tensor, rowptr: Tensor, shape: tuple[int, int]):
        self.row, self.col, self.rowptr, self.shape = row, col, rowptr, shape
        self.order = None

    @cached_property
    def _by_column(self) -> CSR:
        """The same matrix with the columns of each row in order, which decides ties."""
        return CSR(self.row, self.col, self.shape)

    def argmax(self, x: Tensor) -> Tensor:
        return CSR.argmax(self._by_column, x)


class MessageCSR(SortedCSR):
    """The matrix from messages, ``[E]``, which come in the order of where they arrive."""

    def __init__(self, target: Tensor, rowptr: Tensor):
        edge = torch.arange(target.numel(), device=target.device)
        super().__init__(target, edge, rowptr, (rowptr.numel() - 1, target.numel()))

    @cached_property
    def _by_column(self) -> CSR:
        return self

    @cached_property
    def transposed(self) -> tuple[Tensor, Tensor, Tensor]:
        pointers = torch.arange(self.col.numel() + 1, device=self.col.device)
        return pointers, self.row, self.col


class EdgeIndexCSR(SortedCSR):
    """The matrix of PyG's sorted ``EdgeIndex``, with what it has in its caches.

    Args:
        edges (EdgeIndex): Sorted by its targets.
        by_row (bool): Whether the targets are its rows, as in ``flow='target_to_source'``.
        shape (pair of int): Targets and sources.
    """

    def __init__(self, edges: EdgeIndex, by_row: bool, shape: tuple[int, int]):
        ends = edges.as_tensor()
        target, source = (ends[0], ends[1]) if by_row else (ends[1], ends[0])
        super().__init__(target, source, _as_long(edges.get_indptr(), shape[0]), shape)
        self._edges, self._by_row = edges, by_row

    @cached_property
    def transposed(self) -> tuple[Tensor, Tensor, Tensor]:
        (pointers, row), order = self._edges.get_csc() if self._by_row else self._edges.get_csr()
        return _as_long(pointers, self.shape[1]), row, order


def edge_index_csr(edges: EdgeIndex, flow: str, shape: tuple[int, int]) -> EdgeIndexCSR | None:
    """The matrix of an ``EdgeIndex``, or None if it is not sorted by where messages arrive."""
    by_row = flow == "target_to_source"
    is_sorted = edges.is_sorted_by_row if by_row else edges.is_sorted_by_col
    return EdgeIndexCSR(edges, by_row, shape) if is_sorted and edges.dtype == torch.int64 else None


def _as_long(pointers: Tensor, number: int) -> Tensor:
    """Pointers to ``number`` rows: PyG's may end before the last rows that are empty."""
    missing = number + 1 - pointers.numel()
    if missing <= 0:
        return pointers
    return torch.cat([pointers, pointers[-1:].expand(missing)])
