"""The gradient of a softmax of which few weights are used."""

import torch
from torch import Tensor

from gia.ops.definition import defined_by


def softmax_gradient_definition(weight: Tensor, place: Tensor, grad: Tensor) -> Tensor:
    grad = torch.zeros_like(weight).put(place, grad.to(weight.dtype))
    return weight * (grad - (weight * grad).sum(-1, keepdim=True))


@defined_by(softmax_gradient_definition)
def softmax_gradient(weight: Tensor, place: Tensor, grad: Tensor) -> Tensor:
    """The gradient of the scores, in the place of their weights, given that of some weights.

    With weights ``A = softmax(S)`` it is ``A (G - sum of A G over the row)``, where G is 0 but at
    these places: no matrix of it is made.

    Args:
        weight (Tensor): The softmax over the last dimension, ``[..., C]``; overwritten.
        place (Tensor): The places whose gradient is not 0, counted along that shape, each once.
        grad (Tensor): G there, in the shape of ``place``.
    """
    place, grad = place.flatten(), grad.flatten().to(weight.dtype)
    product = weight.view(-1)[place] * grad
    total = product.new_zeros(weight.shape[:-1].numel())
    total.index_add_(0, place // weight.size(-1), product)
    weight.mul_(total.neg_().view(*weight.shape[:-1], 1))
    weight.view(-1).index_add_(0, place, product)
    return weight
