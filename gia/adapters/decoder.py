"""The part of a Hugging Face model that has its layers, and which of them have adapters."""

from dataclasses import dataclass
from typing import Any

from torch import nn

from gia.adapters.decoder_layer import NAME, AdaptedLayer
from gia.adapters.families import FAMILIES, Family, family_of

DEFAULT = "default"  # the name of an adapter that is given none


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
    def adapted(self) -> dict[int, AdaptedLayer]:
        """Those of the layers that have adapters."""
        found = ((i, getattr(layer, NAME, None)) for i, layer in enumerate(self.layers))
        return {i: layer for i, layer in found if layer is not None}

    def adapter(self, name: str) -> dict[int, nn.Module]:
        """The parts of an adapter by layer.

        Raises:
            KeyError: If there is no such adapter.
        """
        parts = {
            number: layer.adapters[name]
            for number, layer in self.adapted.items()
            if name in layer.adapters
        }
        if not parts:
            has = f"it has {', '.join(self.names)}" if self.names else "it has none"
            raise KeyError(f"the model has no adapter {name!r}: {has}")
        return parts

    @property
    def names(self) -> list[str]:
        """The adapters, in the order in which they came."""
        found = (name for layer in self.adapted.values() for name in layer.adapters)
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
