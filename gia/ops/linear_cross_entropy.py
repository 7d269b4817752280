"""The cross-entropy of a linear layer over many classes, without its logits."""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, linear

from gia.ops.definition import defined_by
from gia.ops.onednn_linear import OneDNNLinear
from gia.typing import OptTensor

LOGITS = {"cpu": 2**22, "cuda": 2**26}  # at a time: what fits into a cache, or fills a GPU


def linear_cross_entropy_definition(
    x: Tensor, weight: Tensor, y: Tensor, bias: OptTensor = None
) -> Tensor:
    return cross_entropy(_wide(linear(x, weight, bias)), y, reduction="none")


@defined_by(linear_cross_entropy_definition)
def linear_cross_entropy(x: Tensor, weight: Tensor, y: Tensor, bias: OptTensor = None) -> Tensor:
    """``cross_entropy(x @ weight.T + bias, y)`` of each row, a few rows at a time.

    Of V classes nothing is kept: the gradient of x is made beside the loss, with a memory of
    ``[N, D]`` in the place of ``[N, V]``. A weight or bias that is trained takes the definition,
    with all logits.
    torch's own ``linear_cross_entropy``, which torch before 2.13 has not, takes longer on a CPU
    than the definition does.

    Shapes:
        - **x:** ``[N, D]``; **weight:** ``[V, D]``; **bias:** ``[V]``
        - **y:** the class of each row, from 0, ``[N]``
        - **output:** ``[N]``, in float32 where x has half precision
    """
    trained = any(value is not None and value.requires_grad for value in (weight, bias))
    if trained and torch.is_grad_enabled():
        return linear_cross_entropy_definition(x, weight, y, bias)
    if torch.is_autocast_enabled(x.device.type) and x.dtype != torch.float64:
        dtype = torch.get_autocast_dtype(x.device.type)
        x, weight = x.to(dtype), weight.to(dtype)
        bias = None if bias is None else bias.to(dtype)
    return _LinearCrossEntropy.apply(x, weight, y, bias)


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, y: Tensor, bias: OptTensor) -> Tensor:
        learns = ctx.needs_input_grad[0]
        rows = max(1, LOGITS.get(x.device.type, 2**24) // max(1, len(weight)))
        losses = x.new_empty(len(x), dtype=_wide(x[:0]).dtype)
        grad = torch.empty_like(x) if learns else None
        with torch.autocast(x.device.type, enabled=False), OneDNNLinear():
            for start in range(0, len(x), rows):
                part = slice(start, start + rows)
                logits, wanted = _wide(linear(x[part], weight, bias)), y[part, None]
                total = logits.logsumexp(1, keepdim=True)
                losses[part] = (total - logits.gather(1, wanted)).squeeze(1)
                if learns:
                    share = logits.sub_(total).exp_()
                    share.scatter_add_(1, wanted, share.new_full((), -1).expand_as(wanted))
                    grad[part] = linear(share.to(x.dtype), weight.t())
        ctx.save_for_backward(grad)
        return losses

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad_losses: Tensor):
        (grad,) = ctx.saved_tensors
        # A sum of many is small for each: the product is taken before it is rounded.
        return (grad * grad_losses.unsqueeze(1)).to(grad.dtype), None, None, None


def _wide(x: Tensor) -> Tensor:
    """In float32 at least."""
    return x if x.element_size() >= 4 else x.float()
