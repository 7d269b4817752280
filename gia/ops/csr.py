"""Products with sparse matrices: what a list of edges costs time and memory for.

Two operations, each the other's gradient, on torch's own kernels: nothing of the size ``[E, d]`` is
ever made, results do not depend on the order in which threads finish, and nothing has to be
installed. A benchmark holds them against gather-multiply-scatter and torch-sparse.
"""

import warnings
from functools import cached_property

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from gia.ops.definition import defined_by
from gia.typing import OptTensor


def multiply_definition(matrix: "CSR", value: OptTensor, x: Tensor) -> Tensor:
    messages = x.index_select(0, matrix.col)
    if value is not None:
        messages = value.unsqueeze(1) * messages
    zeros = messages.new_zeros(matrix.shape[0], x.size(1))
    return zeros.index_add(0, matrix.row, messages)


def dots_definition(matrix: "CSR", left: Tensor, right: Tensor) -> Tensor:
    dtype = torch.promote_types(torch.promote_types(left.dtype, right.dtype), torch.float32)
    return (left.to(dtype)[matrix.row] * right.to(dtype)[matrix.col]).sum(-1)


def argmax_definition(matrix: "CSR", x: Tensor) -> Tensor:
    row, sent = matrix.row.unsqueeze(1).expand(-1, x.size(1)), x[matrix.col]
    largest = x.new_zeros(matrix.shape[0], x.size(1))
    largest = largest.scatter_reduce(0, row, sent, "amax", include_self=False)
    is_largest = sent == largest[matrix.row]
    place = torch.where(is_largest, matrix.col.unsqueeze(1), -1)
    nowhere = place.new_full(largest.shape, -1)
    return nowhere.scatter_reduce(0, row, place, "amax")


class CSR:
    """Where a sparse matrix has entries, in compressed rows.

    Args:
        row, col (Tensor): Place of each entry, ``[E]``, in any order; entries may share a place.
        shape (pair of int): Rows and columns R, C of the matrix.

    Attributes:
        order (Tensor, optional): Which entry is the first by row, then column, which the second,
            ``[E]``; None if they came in that order.
        col (Tensor): Columns in that order, ``[E]``.
        rowptr (Tensor): Where each row begins, ``[R + 1]``.
    """

    def __init__(self, row: Tensor, col: Tensor, shape: tuple[int, int]):
        self.shape = shape
        key = row * shape[1] + col
        self.order: Tensor | None = None
        # A GPU would have to be waited for, and compiled code cannot ask.
        ask = key.is_cpu and not torch.compiler.is_compiling()
        if not (ask and bool((key[1:] >= key[:-1]).all())):
            self.order = key.argsort(stable=True)
            row, col = row[self.order], col[self.order]
        self.row, self.col = row, col
        self.rowptr = _pointers(row, shape[0])

    def arrange(self, value: Tensor) -> Tensor:
        """A number for each entry, ``[E]``, in the order of the rows."""
        return value if self.order is None else value[self.order]

    def restore(self, value: Tensor) -> Tensor:
        """Back from :meth:`arrange`."""
        if self.order is None:
            return value
        return torch.empty_like(value).index_copy(0, self.order, value)

    @cached_property
    def transposed(self) -> tuple[Tensor, Tensor, Tensor]:
        """The entries by column: where each column begins, the rows, which entry it was."""
        order = self.col.argsort(stable=True)
        return _pointers(self.col[order], self.shape[1]), self.row[order], order

    @defined_by(multiply_definition)
    def multiply(self, value: OptTensor, x: Tensor) -> Tensor:
        """The matrix with these entries (1 if left out, ``[E]`` in the order of the rows) times x.

        Shapes:
            - **x:** ``[C, d]``
            - **output:** ``[R, d]``
        """
        if value is not None:
            dtype = torch.promote_types(value.dtype, x.dtype)
            value, x = value.to(dtype), x.to(dtype)
        return _Multiply.apply(value, x.contiguous(), self, False)

    @defined_by(dots_definition)
    def dots(self, left: Tensor, right: Tensor) -> Tensor:
        """The dot product of row r of ``left`` and row c of ``right`` for each entry (r, c).

        Shapes:
            - **left:** ``[R, d]``
            - **right:** ``[C, d]``
            - **output:** ``[E]``, in the order of the rows, at least in float32
        """
        dtype = torch.promote_types(torch.promote_types(left.dtype, right.dtype), torch.float32)
        return _Dots.apply(left.to(dtype).contiguous(), right.to(dtype).contiguous(), self)

    @defined_by(argmax_definition)
    def argmax(self, x: Tensor) -> Tensor:
        """The column that holds the largest number of each row's, of ties the last; -1 if none.

        Nothing may be NaN.

        Shapes:
            - **x:** ``[C, d]``
            - **output:** ``[R, d]``
        """
        number = self.col.numel()
        if number == 0:
            return self.col.new_full((self.shape[0], x.size(1)), -1)
        # The kernel takes the first of ties: it is given everything in reverse.
        col, rowptr = self.col.flip(0), number - self.rowptr.flip(0)
        *_, winner = torch.embedding_bag(x, col, rowptr, mode=2, include_last_offset=True)
        empty = (self.rowptr.diff() == 0).unsqueeze(1)
        return winner.flip(0).to(col.dtype).masked_fill(empty, -1)


class _Multiply(torch.autograd.Function):
    @staticmethod
    def forward(ctx, value: OptTensor, x: Tensor, pattern: CSR, transpose: bool) -> Tensor:
        # Without values the gradient asks for neither; nothing saved, nothing freed: what is made
        # once for a batch has gradients as often as they are asked for.
        ctx.is_weighted = value is not None
        if ctx.is_weighted:
            ctx.save_for_backward(value, x)
        ctx.pattern, ctx.transpose = pattern, transpose
        pointers, col = pattern.rowptr, pattern.col
        if transpose:
            pointers, col, order = pattern.transposed
            value = None if value is None else value[order]
        if x.size(0) == 0:
            return x.new_zeros(pointers.numel() - 1, x.size(1))
        # Detached, or the kernel prepares for a gradient of its own.
        return embedding_bag(
            col,
            x.detach(),
            pointers,
            mode="sum",
            per_sample_weights=value,
            include_last_offset=True,
        )

    @staticmethod
    def backward(ctx, grad: Tensor):
        value, x = ctx.saved_tensors if ctx.is_weighted else (None, None)
        grad, grad_value, grad_x = grad.contiguous(), None, None
        if ctx.needs_input_grad[0]:
            ends = (x, grad) if ctx.transpose else (grad, x)
            grad_value = _Dots.apply(*ends, ctx.pattern).to(value.dtype)
        if ctx.needs_input_grad[1]:
            grad_x = _Multiply.apply(value, grad, ctx.pattern, not ctx.transpose)
        return grad_value, grad_x, None, None


class _Dots(torch.autograd.Function):
    @staticmethod
    def forward(ctx, left: Tensor, right: Tensor, pattern: CSR) -> Tensor:
        ctx.save_for_backward(left, right)
        ctx.pattern = pattern
        if pattern.col.numel() == 0:
            return left.new_zeros(0)
        if pattern.col.numel() > pattern.shape[0] * pattern.shape[1]:
            return dots_definition(pattern, left, right)  # the kernel refuses so many parallel ones
        wide = torch.promote_types(left.dtype, torch.float32)  # the kernel has no half precision
        left, right = left.to(wide), right.to(wide)
        zeros = left.new_zeros(pattern.col.numel())
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta")
            matrix = torch.sparse_csr_tensor(
                pattern.rowptr, pattern.col, zeros, pattern.shape, check_invariants=False
            )
        return torch.sparse.sampled_addmm(matrix, left, right.t(), beta=0.0).values()

    @staticmethod
    def backward(ctx, grad: Tensor):
        left, right = ctx.saved_tensors
        grad_left = grad_right = None
        if ctx.needs_input_grad[0]:
            grad_left = _Multiply.apply(grad, right, ctx.pattern, False)
        if ctx.needs_input_grad[1]:
            grad_right = _Multiply.apply(grad, left, ctx.pattern, True)
        return grad_left, grad_right, None


def _pointers(index: Tensor, number: int) -> Tensor:
    """Where each of the numbers 0 .. ``number`` begins in a sorted list."""
    return torch.searchsorted(index, torch.arange(number + 1, device=index.device))


def follow_definition(end: Tensor, begin: Tensor, number: int) -> tuple[Tensor, Tensor]:
    return (end.unsqueeze(1) == begin).nonzero().unbind(1)


@defined_by(follow_definition)
def follow(end: Tensor, begin: Tensor, number: int) -> tuple[Tensor, Tensor]:
    """All pairs of an edge of one list and an edge of another that begins where it ends.

    Args:
        end (Tensor): Where each edge of the first list ends, ``[E]``.
        begin (Tensor): Where each edge of the second list begins, ``[E']``.
        number (int): Nodes.

    Returns:
        Places in the first and in the second list, ``[P]`` each, ordered by the first.
    """
    order = begin.argsort(stable=True)
    start = _pointers(begin[order], number)
    width = start.diff()[end]  # edges that each edge goes on with
    first = torch.arange(end.numel(), device=end.device).repeat_interleave(width)
    offset = torch.arange(first.numel(), device=end.device) - (width.cumsum(0) - width)[first]
    return first, order[start[end[first]] + offset]
