"""Adapters on a Hugging Face model: added, chosen, switched, and taken off again."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from gia.adapters.adapter_config import AdapterConfig
from gia.adapters.attention_function import observed_name
from gia.adapters.config import SparseGINConfig
from gia.adapters.decoder import DEFAULT, decoder
from gia.adapters.decoder_layer import NAME, AdaptedLayer
from gia.adapters.extra_edges import ExtraEdges
from gia.adapters.families import check_methods
from gia.adapters.frozen import freeze, thaw
from gia.adapters.graph_lora_config import GraphLoRAConfig
from gia.adapters.kinds import make
from gia.adapters.linear_hooks import hang
from gia.adapters.model_methods import extend_methods, restore_methods
from gia.typing import OptTensor


def add(model: nn.Module, config: AdapterConfig | None = None, name: str = DEFAULT) -> None:
    """Add an adapter to a model, and make it the one that is used and trained.

    The model is neither edited nor wrapped: it keeps its class, its ``forward``, its ``generate``.
    Its own parameters are frozen; those of PEFT's adapters, where there are some, stay as they are.

    Args:
        model (nn.Module): A decoder of Hugging Face's, or a PEFT model of one.
        config (GraphLoRAConfig or SparseGINConfig, optional): The adapter; the default Sparse-GIN
            if left out.
        name (str): What it is called.

    Raises:
        ValueError: If the architecture or its attention cannot have one, the name is taken, or the
            configuration does not fit. The model is then as it was.
    """
    config = SparseGINConfig() if config is None else config
    if not name or "." in name or hasattr(nn.ModuleDict(), name):
        raise ValueError(
            f"an adapter's name is not empty, has no dot and is no method of a ModuleDict, "
            f"got {name!r}"
        )
    base = decoder(model)
    check_methods(model)
    if any(name in layer.adapters for layer in base.adapted.values()):
        raise ValueError(f"the model has an adapter {name!r} already: choose another name")
    observed_name(base.config._attn_implementation)
    _check_finite(base.module)
    made = make(config, base)
    if not base.adapted:
        freeze(model, base.module)
    for number, adapter in made.items():
        layer = base.layers[number]
        adapted = getattr(layer, NAME, None) or AdaptedLayer(layer, base.family, number)
        adapted.train(layer.training)
        adapted.adapters[name] = adapter.train(layer.training)
    if isinstance(config, GraphLoRAConfig):
        hang(base, name)
    set(model, name)


def set(model: nn.Module, names: str | Sequence[str]) -> None:
    """Choose the adapter that is used and trained, or several whose effects add up; enable them.

    Raises:
        KeyError: If there is no such adapter.
    """
    names = [names] if isinstance(names, str) else list(dict.fromkeys(names))
    base = decoder(model)
    for name in names:
        base.adapter(name)
    for layer in base.adapted.values():
        layer.enabled = True
        layer.active = tuple(name for name in names if name in layer.adapters)
        for name, adapter in layer.adapters.items():
            adapter.requires_grad_(name in names)
    extend_methods(model)


def remove(model: nn.Module, name: str = DEFAULT) -> None:
    """Take an adapter off; with the last one the model is as it was before the first.

    Raises:
        KeyError: If there is no such adapter.
    """
    base = decoder(model)
    base.adapter(name)
    for number, layer in base.adapted.items():
        if name in layer.adapters:
            layer.drop(name)
            layer.active = tuple(other for other in layer.active if other != name)
        if not layer.adapters:
            layer.remove(base.layers[number])
    if not base.adapted:
        thaw(base.module)
        restore_methods(model)


def enable(model: nn.Module) -> None:
    """Use the chosen adapters again after :func:`disable`.

    Raises:
        KeyError: If the model has none.
    """
    for layer in _adapted_layers(model):
        layer.enabled = True


def disable(model: nn.Module) -> None:
    """Use no adapter: the model computes what it computed without them, bit by bit."""
    for layer in decoder(model).adapted.values():
        layer.enabled = False


@contextmanager
def disabled(model: nn.Module) -> Iterator[None]:
    """No adapter inside ``with disabled(model):``."""
    before = {layer: layer.enabled for layer in decoder(model).adapted.values()}
    disable(model)
    try:
        yield
    finally:
        for layer, enabled in before.items():
            layer.enabled = enabled


@contextmanager
def extra_edges(
    model: nn.Module, edge_index: Tensor, edge_weight: OptTensor = None
) -> Iterator[None]:
    """Edges that you know of, beside those of attention, inside ``with extra_edges(...):``.

    They are added to A', after its rows are normalised where they are; pairs that the model's
    attention may not see are left out. Under gradient checkpointing ``backward`` belongs inside.

    Args:
        model (nn.Module): A model with adapters.
        edge_index (Tensor): Source and target tokens, ``[2, E]``, in every sequence of a batch; or
            ``[3, E]`` with the sequence of each before them (with beams, each is there as often in
            a row). Counted as the model counts its tokens, padding included, from earlier tokens
            to later ones.
        edge_weight (Tensor, optional): ``[E]``; 1 if left out.

    Raises:
        KeyError: If the model has no adapters.
        ValueError: If the shapes do not fit, or an edge goes back in time.
    """
    edges = ExtraEdges(edge_index, edge_weight)
    layers = _adapted_layers(model)
    before = {layer: layer.extra_edges for layer in layers}
    for layer in layers:
        layer.extra_edges = edges
    try:
        yield
    finally:
        for layer, extra in before.items():
            layer.extra_edges = extra


def names(model: nn.Module) -> list[str]:
    """The adapters of a model."""
    return decoder(model).names


def active(model: nn.Module) -> list[str]:
    """The adapters that are used, unless they are disabled."""
    found = (name for layer in decoder(model).adapted.values() for name in layer.active)
    return list(dict.fromkeys(found))


def parameters(model: nn.Module, name: str = DEFAULT) -> list[nn.Parameter]:
    """The parameters of an adapter, for an optimizer.

    Raises:
        KeyError: If there is no such adapter.
    """
    parts = decoder(model).adapter(name).values()
    return [parameter for part in parts for parameter in part.parameters()]


def _adapted_layers(model: nn.Module) -> list[AdaptedLayer]:
    layers = list(decoder(model).adapted.values())
    if not layers:
        raise KeyError("the model has no adapters: gia.adapters.add(model, ...) comes first")
    return layers


def _check_finite(module: nn.Module) -> None:
    for name, parameter in module.named_parameters():
        if parameter.is_meta or type(parameter) is not nn.Parameter:
            continue  # offloaded or quantised: not to be read like that
        if parameter.is_floating_point() and not bool(torch.isfinite(parameter).all()):
            raise ValueError(
                f"the model's {name} holds numbers that are not finite: load it again, or in "
                "another precision"
            )
