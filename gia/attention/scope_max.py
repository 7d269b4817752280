"""The maximum over all that a scope allows, which needs no graph to be written out."""

import torch
from torch import Tensor

from gia.attention.scope import Scope
from gia.ops.running_max import running_max


def scope_max(x: Tensor, scope: Scope) -> Tensor:
    """The largest number that each node sees, ``[N, H, d]``: a running one, or its graph's.

    Ties and NaN are as in :meth:`gia.graph.Adjacency.max`.
    """
    if x.size(0) == 0:
        return x
    padding = scope.padding
    parts = padding.pad(x.flatten(1))  # [B, L, D] each
    if scope.causal:
        parts = [running_max(part) for part in parts]
    else:
        parts = [
            part.gather(1, _last_largest(part, bucket.mask)).expand_as(part)
            for part, bucket in zip(parts, padding.buckets, strict=True)
        ]
    return padding.unpad(parts).view_as(x)


@torch.no_grad()
def scope_argmax(x: Tensor, scope: Scope) -> Tensor:
    """The node that holds it, of ties the last, ``[N, H, d]``."""
    if x.size(0) == 0:
        return x.new_empty(x.shape, dtype=torch.long)
    padding = scope.padding
    last = [
        _last_record(part) if scope.causal else _last_largest(part, bucket.mask).expand(part.shape)
        for part, bucket in zip(padding.pad(x.flatten(1)), padding.buckets, strict=True)
    ]
    return padding.unpad(last).view_as(x) + scope.first_node.view(-1, 1, 1)


@torch.no_grad()
def _last_largest(x: Tensor, mask: Tensor) -> Tensor:
    """The position of the largest number of each graph's, of ties the last, ``[B, 1, D]``."""
    # NaN counts as the largest, as in the edge form and in the running maximum.
    value = x.nan_to_num(nan=torch.inf, posinf=torch.inf, neginf=-torch.inf)
    value = value.masked_fill(~mask.unsqueeze(-1), -torch.inf)
    position = torch.arange(x.size(1), device=x.device).view(1, -1, 1)
    reaches = (value == value.amax(1, keepdim=True)) & mask.unsqueeze(-1)
    return torch.where(reaches, position, -1).amax(1, keepdim=True)


def _last_record(x: Tensor) -> Tensor:
    """The position of the largest number so far, of ties the last, ``[B, L, D]``."""
    value = x.nan_to_num(nan=torch.inf, posinf=torch.inf, neginf=-torch.inf)
    position = torch.arange(x.size(1), device=x.device).view(1, -1, 1)
    return torch.where(value == running_max(value), position, 0).cummax(1).values
