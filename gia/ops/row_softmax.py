"""A softmax along rows, of which some places are hidden and some rows are short or empty."""

import torch
from torch import Tensor
from torch.nn.functional import pad

from gia.ops.definition import defined_by

# The CPU's kernel goes number by number along rows that are shorter than its vectors: six times
# slower than along the same rows filled up (12 numbers: 235 us for 1,100 rows, 40 us filled up).
SHORTEST = 16


def row_softmax_definition(values: Tensor, hidden: Tensor, live: Tensor) -> Tensor:
    return _hide(values, hidden).softmax(-1) * live.to(values.dtype)


@defined_by(row_softmax_definition)
def row_softmax(values: Tensor, hidden: Tensor, live: Tensor) -> Tensor:
    """A softmax over what is not hidden, and 0 in rows that are empty.

    Args:
        values (Tensor): Scores, ``[..., C]``.
        hidden (Tensor): True where a score is not seen, or minus infinity there and 0 elsewhere, to
            be added; nowhere in an empty row.
        live (Tensor): 0 for empty rows and 1 for the others, ``[..., 1]``.
    """
    return _RowSoftmax.apply(values, hidden, live)


class _RowSoftmax(torch.autograd.Function):
    """Keeps its result alone, which the product with ``live`` would keep twice."""

    @staticmethod
    def forward(ctx, values: Tensor, hidden: Tensor, live: Tensor) -> Tensor:
        values, columns = _hide(values, hidden), values.size(-1)
        if _is_slow(values):
            filled = pad(values, (0, SHORTEST - columns), value=-torch.inf).softmax(-1)
            out = filled[..., :columns] * live
        else:
            out = values.softmax(-1).mul_(live)
        ctx.save_for_backward(out)
        return out

    @staticmethod
    def backward(ctx, grad: Tensor):
        (out,) = ctx.saved_tensors
        if _is_slow(grad):
            product = grad * out
            return product - out * product.sum(-1, keepdim=True), None, None
        return torch._softmax_backward_data(grad, out, -1, out.dtype), None, None


def _hide(values: Tensor, hidden: Tensor) -> Tensor:
    if hidden.dtype == torch.bool:
        return values.masked_fill(hidden, -torch.inf)
    return values + hidden.to(values.dtype)


def _is_slow(values: Tensor) -> bool:
    return values.is_cpu and values.size(-1) < SHORTEST
