"""A softmax over what is not hidden."""

import torch
from torch import Tensor

from gia.ops.definition import defined_by


def masked_softmax_definition(values: Tensor, hidden: Tensor, live: Tensor) -> Tensor:
    if hidden.dtype == torch.bool:
        return values.masked_fill(hidden, -torch.inf).softmax(-1) * live
    return (values + hidden.to(values.dtype)).softmax(-1) * live


@defined_by(masked_softmax_definition)
def masked_softmax(values: Tensor, hidden: Tensor, live: Tensor) -> Tensor:
    """A softmax over what is not hidden, and 0 in rows that are empty.

    Args:
        values (Tensor): Scores, ``[..., C]``.
        hidden (Tensor): True where a score is not seen, or minus infinity there and 0 elsewhere, to
            be added; nowhere in an empty row.
        live (Tensor): 0 for empty rows and 1 for the others, ``[..., 1]``.
    """
    return _MaskedSoftmax.apply(values, hidden, live)


class _MaskedSoftmax(torch.autograd.Function):
    """One pass over memory for each of its parts, and nothing kept but what comes out."""

    @staticmethod
    def forward(ctx, values: Tensor, hidden: Tensor, live: Tensor) -> Tensor:
        if hidden.dtype == torch.bool:
            values = values.masked_fill(hidden, -torch.inf)
        else:
            values = values + hidden.to(values.dtype)
        out = values.softmax(-1).mul_(live)
        ctx.save_for_backward(out)
        return out

    @staticmethod
    def backward(ctx, grad: Tensor):
        (out,) = ctx.saved_tensors
        return torch._softmax_backward_data(grad, out, -1, out.dtype), None, None
