"""The kinds of adapters: their names in files, their configurations, and their parts of a layer."""

import torch
from torch import Tensor, nn

from gia.adapters.adapter_config import AdapterConfig
from gia.adapters.config import SparseGINConfig
from gia.adapters.decoder import Decoder
from gia.adapters.graph_lora import GraphLoRA
from gia.adapters.graph_lora_config import GraphLoRAConfig
from gia.adapters.layer import SparseGIN
from gia.adapters.linear_layers import linear_groups

KINDS: dict[str, type[AdapterConfig]] = {
    "SPARSE_GIN": SparseGINConfig,
    "GRAPH_LORA": GraphLoRAConfig,
}


def kind_name(config: AdapterConfig) -> str:
    """What the kind of an adapter is called in files."""
    return next(name for name, kind in KINDS.items() if isinstance(config, kind))


def make(config: AdapterConfig, base: Decoder) -> dict[int, nn.Module]:
    """New parts of an adapter by layer.

    Raises:
        ValueError: If the configuration does not fit the model.
    """
    numbers = _chosen(config, base)
    if isinstance(config, GraphLoRAConfig):
        made = _graph_lora(config, base, numbers)
    else:
        made = {
            number: SparseGIN(
                config,
                width=base.config.hidden_size,
                heads=base.config.num_attention_heads,
                layer=number,
                num_layers=len(base.layers),
            )
            for number in numbers
        }
    return {number: _placed(part, base.layers[number]) for number, part in made.items()}


def _graph_lora(config: GraphLoRAConfig, base: Decoder, numbers: list[int]) -> dict[int, GraphLoRA]:
    groups = {
        number: linear_groups(base.layers[number], base.family, config.target_modules)
        for number in numbers
    }
    names = {name for found in groups.values() for group in found for name in group.names}
    targets = [] if config.target_modules == "all-linear" else config.target_modules
    unknown = [target for target in targets if not any(_is(name, target) for name in names)]
    if unknown or not names:
        first = linear_groups(base.layers[numbers[0]], base.family, "all-linear")
        there = ", ".join(name for group in first for name in group.names)
        raise ValueError(
            f"target_modules names {', '.join(unknown) or 'no linear layer'}, but the linear "
            f"layers of a decoder layer are {there or 'none'}"
        )
    return {
        number: GraphLoRA(
            config,
            groups[number],
            heads=base.config.num_attention_heads,
            layer=number,
            has_below=number - 1 in numbers,
        )
        for number in numbers
    }


def _is(name: str, target: str) -> bool:
    return f".{name}".endswith(f".{target}")


def _chosen(config: AdapterConfig, base: Decoder) -> list[int]:
    number = len(base.layers)
    if config.layers is None:
        return list(range(number))
    wrong = [layer for layer in config.layers if not 0 <= layer < number]
    if wrong:
        raise ValueError(f"layers has {wrong}, but the model has layers 0 to {number - 1}")
    return sorted({*config.layers})


def _placed(part: nn.Module, layer: nn.Module) -> nn.Module:
    weight = next((p for p in layer.parameters() if p.is_floating_point()), torch.empty(0))
    # Few numbers that are trained: in single precision, whatever the model is held in.
    return part.to(_device(layer, weight), torch.promote_types(weight.dtype, torch.float32))


def _device(layer: nn.Module, weight: Tensor) -> torch.device:
    """Where a layer computes: where its weights are, or are fetched to when they are offloaded."""
    if not weight.is_meta or torch.empty(0).is_meta:  # or all is built for its size alone
        return weight.device
    for module in layer.modules():
        device = getattr(getattr(module, "_hf_hook", None), "execution_device", None)
        if device is not None:
            return torch.device(device)
    raise ValueError("the model's weights are on the meta device: load them before adding adapters")
