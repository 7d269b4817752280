"""LoRA that is made part of the weights: adapters without messages."""

import torch
from torch import Tensor, nn

from gia.adapters.decoder import DEFAULT, decoder
from gia.adapters.graph_lora import Bottleneck, GraphLoRA
from gia.adapters.model import remove


@torch.no_grad()
def merge(model: nn.Module, name: str = DEFAULT) -> None:
    """Add an adapter that sends no messages to the model's weights, and take it off.

    That is Graph-LoRA whose g is 0 everywhere. Messages between tokens are no linear map of a
    token, so that no weight of a linear layer does the same.

    Args:
        model (nn.Module): A model with adapters.
        name (str): Which adapter.

    Raises:
        KeyError: If there is no such adapter.
        ValueError: If it sends messages, is not linear, or a weight cannot be changed. The model is
            then as it was.
    """
    base = decoder(model)
    changes = []
    for number, part in base.adapter(name).items():
        if not isinstance(part, GraphLoRA) or part.config.nonlinear:
            raise ValueError(f"the adapter {name!r} is no linear map of a token: it stays beside")
        for bottleneck in part.groups.values():
            if bottleneck.g is not None and bool(bottleneck.g.any()):
                raise ValueError(
                    f"the adapter {name!r} sends messages in layer {number} (g is not 0), which no "
                    "weight can do: it stays beside; edges=None trains one that can be merged"
                )
            for site, path in enumerate(bottleneck.group.names):
                linear, change = base.layers[number].get_submodule(path), _change(bottleneck, site)
                transposed = not hasattr(linear, "out_features")  # GPT-2's
                weight = _weight(linear, f"{number}.{path}")
                changes.append((weight, change.t() if transposed else change))
    for weight, change in changes:
        weight.add_(change.to(weight.dtype))
    remove(model, name)


def _weight(linear: nn.Module, name: str) -> Tensor:
    weight = getattr(linear, "weight", None)
    plain = type(weight) is nn.Parameter and weight.is_floating_point() and not weight.is_meta
    if not plain or hasattr(linear, "base_layer"):
        raise ValueError(
            f"the weight of {name} cannot be added to: it is quantised, offloaded or PEFT's"
        )
    return weight


def _change(bottleneck: Bottleneck, site: int) -> Tensor:
    """What is added to a weight, ``[out, in]``."""
    rank = bottleneck.config.r
    lora_A = bottleneck.lora_A[site * rank : (site + 1) * rank]
    lora_B = bottleneck.lora_B.split(bottleneck.group.out_features)[site]
    scaling = bottleneck.config.scaling
    if bottleneck.eps is not None:
        scaling = scaling * (1 + bottleneck.eps[site])
    return scaling * (lora_B @ lora_A)
