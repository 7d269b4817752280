"""The largest numbers of rows that are held side by side, or one after the other."""

import torch
from torch import Tensor

from gia.ops.definition import defined_by


def top_k_definition(values: Tensor, k: int | Tensor) -> Tensor:
    order = values.flip(-1).argsort(dim=-1, descending=True, stable=True)
    order = values.size(-1) - 1 - order  # the largest first, of ties the last
    rank = torch.arange(values.size(-1), device=values.device).expand(values.shape)
    keep = torch.zeros_like(values, dtype=torch.bool).scatter_(-1, order, rank < k)
    return keep & (values != -torch.inf)


@defined_by(top_k_definition)
def top_k(values: Tensor, k: int | Tensor) -> Tensor:
    """True at the k largest numbers of each row, of ties the last; never at minus infinity.

    NaN counts as the largest, so that it is seen. Only rows whose cut goes through ties are sorted.

    Args:
        values (Tensor): Rows side by side, ``[..., C]``.
        k (int or Tensor): How many, at least 1; or a number for each row, ``[..., 1]``, or what is
            broadcast to that.
    """
    columns = values.size(-1)
    if values.numel() == 0:
        return torch.zeros_like(values, dtype=torch.bool)
    most = min(int(k.max()) if isinstance(k, Tensor) else k, columns)
    # One more than asked for shows where the cut goes through ties.
    largest, place = values.topk(min(most + 1, columns))  # [..., k + 1]
    rank = torch.arange(largest.size(-1), device=values.device)
    keep = torch.zeros(values.shape, dtype=torch.bool, device=values.device)
    keep.scatter_(-1, place, (rank < k) & (largest != -torch.inf))
    if largest.size(-1) > 1:
        at_cut = (rank == k - 1)[..., :-1] & (largest[..., :-1] == largest[..., 1:])
        at_cut &= largest[..., :-1] != -torch.inf
        tied = at_cut.any(-1)
        if bool(tied.any()):
            k = torch.as_tensor(k, device=values.device).expand(*values.shape[:-1], 1)
            keep[tied] = top_k_definition(values[tied], k[tied])
    return keep


def top_k_of_rows_definition(values: Tensor, row: Tensor, k: int | Tensor) -> Tensor:
    value, place = values.nan_to_num(nan=torch.inf), torch.arange(row.numel(), device=row.device)
    is_ahead = value > value.unsqueeze(1)
    is_ahead |= (value == value.unsqueeze(1)) & (place > place.unsqueeze(1))
    rank = (is_ahead & (row == row.unsqueeze(1))).sum(1)
    return (rank < k) & (values != -torch.inf)


@defined_by(top_k_of_rows_definition)
def top_k_of_rows(values: Tensor, row: Tensor, k: int | Tensor) -> Tensor:
    """The same of rows that are held one after the other, or mixed, ``[E]``.

    Args:
        values (Tensor): The numbers.
        row (Tensor): The row of each, ``[E]``.
        k (int or Tensor): How many of each row, or ``[E]``: for each number, how many of its row.
    """
    order = values.flip(0).argsort(descending=True, stable=True)
    order = values.numel() - 1 - order
    rows, by_row = row[order].sort(stable=True)  # by row, then from the largest down
    order = order[by_row]
    rank = torch.arange(rows.numel(), device=rows.device) - torch.searchsorted(rows, rows)
    k = k[order] if isinstance(k, Tensor) else k
    chosen = (rank < k) & (values[order] != -torch.inf)
    return torch.zeros_like(values, dtype=torch.bool).scatter_(0, order, chosen)
