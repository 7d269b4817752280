"""Numbers added at some places of a tensor, in place."""

import torch
from torch import Tensor

from gia.ops.definition import defined_by


def add_at_definition(total: Tensor, values: Tensor, row: Tensor, place: Tensor) -> Tensor:
    added = values.index_select(0, row).to(total.dtype)
    return total.flatten().index_add(0, place.flatten(), added.flatten()).view_as(total)


@defined_by(add_at_definition)
def add_at(total: Tensor, values: Tensor, row: Tensor, place: Tensor) -> Tensor:
    """Add row ``row[e]`` of ``values`` at the places ``place[e]`` of ``total``, for each e.

    ``total`` is overwritten, and returned.

    Shapes:
        - **total:** any, contiguous; places count along it
        - **values:** ``[U, H]``
        - **row:** ``[E]``
        - **place:** ``[E, H]``
    """
    return _AddAt.apply(total, values, row, place)


class _AddAt(torch.autograd.Function):
    """The gradient of the total passes through; torch would copy it, as of any part of a tensor."""

    @staticmethod
    def forward(ctx, total: Tensor, values: Tensor, row: Tensor, place: Tensor) -> Tensor:
        ctx.save_for_backward(row, place)
        ctx.rows, ctx.dtype = values.size(0), values.dtype
        ctx.mark_dirty(total)
        added = values.index_select(0, row).to(total.dtype)
        total.view(-1).index_add_(0, place.flatten(), added.flatten())
        return total

    @staticmethod
    def backward(ctx, grad: Tensor):
        row, place = ctx.saved_tensors
        of_values = None
        if ctx.needs_input_grad[1]:
            found = grad.reshape(-1).index_select(0, place.flatten()).view_as(place)
            of_values = found.new_zeros(ctx.rows, place.size(1)).index_add(0, row, found)
            of_values = of_values.to(ctx.dtype)
        return grad, of_values, None, None
