"""Adapters on a Hugging Face model: added, chosen, switched, and taken off again."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from gia.adapters.attention import kernel_name, observed_name
from gia.adapters.config import SparseGINConfig
from gia.adapters.extra import ExtraEdges
from gia.adapters.families import FAMILIES, Family, family_of
from gia.adapters.layer import SparseGIN
from gia.adapters.site import NAME, AdapterSite
from gia.typing import OptTensor

DEFAULT = "default"
_STATE = "_gia_state"


@dataclass(frozen=True)
class Decoder:
    """The part of a model that has the layers.

    Attributes:
        module (nn.Module): The base model.
        family (Family): Its architecture.
    """

    module: nn.Module
    family: Family

    @property
    def config(self) -> Any:
        """Of the base model."""
        return self.module.config

    @property
    def layers(self) -> list[nn.Module]:
        """The decoder layers."""
        return list(self.module.get_submodule(self.family.layers))

    @property
    def sites(self) -> dict[int, AdapterSite]:
        """Those of the layers that have adapters."""
        found = ((i, getattr(layer, NAME, None)) for i, layer in enumerate(self.layers))
        return {i: site for i, site in found if site is not None}

    def adapter(self, name: str) -> dict[int, SparseGIN]:
        """The parts of an adapter by layer.

        Raises:
            KeyError: If there is no such adapter.
        """
        parts = {i: site.adapters[name] for i, site in self.sites.items() if name in site.adapters}
        if not parts:
            has = f"it has {', '.join(self.names)}" if self.names else "it has none"
            raise KeyError(f"the model has no adapter {name!r}: {has}")
        return parts

    @property
    def names(self) -> list[str]:
        """The adapters, in the order in which they came."""
        found = (name for site in self.sites.values() for name in site.adapters)
        return list(dict.fromkeys(found))


def decoder(model: nn.Module) -> Decoder:
    """Find the layers of a Hugging Face model, also inside a PEFT model.

    Raises:
        ValueError: If the architecture cannot have adapters, with the reason.
    """
    for module in model.modules():
        family = FAMILIES.get(getattr(getattr(module, "config", None), "model_type", ""))
        if family is not None and isinstance(getattr(module, family.layers, None), nn.ModuleList):
            return Decoder(module, family_of(module))
    family_of(model)  # says why not
    raise ValueError(f"{type(model).__name__} has no decoder layers where its family has them")


def add(model: nn.Module, config: SparseGINConfig | None = None, name: str = DEFAULT) -> None:
    """Add an adapter to a model, and make it the one that is used and trained.

    The model is neither edited nor wrapped: it keeps its class, its ``forward``, its ``generate``.
    Its own parameters are frozen; those of PEFT's adapters, where there are some, stay as they are.

    Args:
        model (nn.Module): A decoder of Hugging Face's, or a PEFT model of one.
        config (SparseGINConfig, optional): The adapter; the default one if left out.
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
    place = decoder(model)
    if any(name in site.adapters for site in place.sites.values()):
        raise ValueError(f"the model has an adapter {name!r} already: choose another name")
    kernel = observed_name(place.config._attn_implementation)
    _check_finite(place.module)
    made = {number: _make(config, place, number) for number in _chosen(config, place)}
    if not place.sites:
        _freeze(model, place)
    for number, adapter in made.items():
        layer = place.layers[number]
        site = getattr(layer, NAME, None) or AdapterSite(layer, place.family, number)
        site.train(layer.training)
        site.adapters[name] = adapter.train(layer.training)
    place.config._attn_implementation = kernel
    set(model, name)


def set(model: nn.Module, names: str | Sequence[str]) -> None:
    """Choose the adapter that is used and trained, or several whose effects add up; enable them.

    Raises:
        KeyError: If there is no such adapter.
    """
    names = [names] if isinstance(names, str) else list(dict.fromkeys(names))
    place = decoder(model)
    for name in names:
        place.adapter(name)
    for site in place.sites.values():
        site.enabled = True
        site.active = tuple(name for name in names if name in site.adapters)
        for name, adapter in site.adapters.items():
            adapter.requires_grad_(name in names)


def remove(model: nn.Module, name: str = DEFAULT) -> None:
    """Take an adapter off; with the last one the model is as it was before the first.

    Raises:
        KeyError: If there is no such adapter.
    """
    place = decoder(model)
    place.adapter(name)
    for number, site in place.sites.items():
        if name in site.adapters:
            del site.adapters[name]
            site.active = tuple(other for other in site.active if other != name)
        if not site.adapters:
            site.remove(place.layers[number])
    if not place.sites:
        place.config._attn_implementation = kernel_name(place.config._attn_implementation)
        for parameter in place.module.__dict__.pop(_STATE, ()):
            parameter.requires_grad_(True)


def enable(model: nn.Module) -> None:
    """Use the chosen adapters again after :func:`disable`.

    Raises:
        KeyError: If the model has none.
    """
    for site in _sites(model):
        site.enabled = True


def disable(model: nn.Module) -> None:
    """Use no adapter: the model computes what it computed without them, bit by bit."""
    for site in decoder(model).sites.values():
        site.enabled = False


@contextmanager
def disabled(model: nn.Module) -> Iterator[None]:
    """No adapter inside ``with disabled(model):``."""
    before = {site: site.enabled for site in decoder(model).sites.values()}
    disable(model)
    try:
        yield
    finally:
        for site, enabled in before.items():
            site.enabled = enabled


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
    sites = _sites(model)
    before = {site: site.extra for site in sites}
    for site in sites:
        site.extra = edges
    try:
        yield
    finally:
        for site, extra in before.items():
            site.extra = extra


def names(model: nn.Module) -> list[str]:
    """The adapters of a model."""
    return decoder(model).names


def active(model: nn.Module) -> list[str]:
    """The adapters that are used, unless they are disabled."""
    found = (name for site in decoder(model).sites.values() for name in site.active)
    return list(dict.fromkeys(found))


def parameters(model: nn.Module, name: str = DEFAULT) -> list[nn.Parameter]:
    """The parameters of an adapter, for an optimizer.

    Raises:
        KeyError: If there is no such adapter.
    """
    parts = decoder(model).adapter(name).values()
    return [parameter for part in parts for parameter in part.parameters()]


def merge(model: nn.Module, name: str = DEFAULT) -> None:
    """There is no such thing.

    Raises:
        NotImplementedError: Always, with the reason.
    """
    raise NotImplementedError(
        "a Sparse-GIN adapter cannot be merged into the model's weights: it passes messages "
        "between tokens and is not linear, so that no weight matrix does the same; keep it as a "
        "file beside the model (gia.adapters.save)"
    )


def _sites(model: nn.Module) -> list[AdapterSite]:
    sites = list(decoder(model).sites.values())
    if not sites:
        raise KeyError("the model has no adapters: gia.adapters.add(model, ...) comes first")
    return sites


def _chosen(config: SparseGINConfig, place: Decoder) -> list[int]:
    number = len(place.layers)
    if config.layers is None:
        return list(range(number))
    wrong = [layer for layer in config.layers if not 0 <= layer < number]
    if wrong:
        raise ValueError(f"layers has {wrong}, but the model has layers 0 to {number - 1}")
    return sorted({*config.layers})


def _make(config: SparseGINConfig, place: Decoder, number: int) -> SparseGIN:
    text, layers = place.config, place.layers
    weight = next((p for p in layers[number].parameters() if p.is_floating_point()), torch.empty(0))
    adapter = SparseGIN(
        config,
        width=text.hidden_size,
        heads=text.num_attention_heads,
        layer=number,
        num_layers=len(layers),
    )
    # Few numbers that are trained: in single precision, whatever the model is held in.
    return adapter.to(
        _device(layers[number], weight), torch.promote_types(weight.dtype, torch.float32)
    )


def _device(layer: nn.Module, weight: Tensor) -> torch.device:
    """Where a layer computes: where its weights are, or are fetched to when they are offloaded."""
    if not weight.is_meta:
        return weight.device
    for module in layer.modules():
        device = getattr(getattr(module, "_hf_hook", None), "execution_device", None)
        if device is not None:
            return torch.device(device)
    raise ValueError("the model's weights are on the meta device: load them before adding adapters")


def _check_finite(module: nn.Module) -> None:
    for name, parameter in module.named_parameters():
        if parameter.is_meta or type(parameter) is not nn.Parameter:
            continue  # offloaded or quantised: not to be read like that
        if parameter.is_floating_point() and not bool(torch.isfinite(parameter).all()):
            raise ValueError(
                f"the model's {name} holds numbers that are not finite: load it again, or in "
                "another precision"
            )


def _freeze(model: nn.Module, place: Decoder) -> None:
    if hasattr(model, "peft_config") or getattr(model, "_hf_peft_config_loaded", False):
        return
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    for parameter in trained:
        parameter.requires_grad_(False)
    place.module.__dict__[_STATE] = trained
