"""What of a model trains: frozen while adapters are on it, and given back after the last one."""

from collections.abc import Mapping
from functools import reduce

from torch import nn

_STATE = "_gia_frozen"


def freeze(model: nn.Module, base: nn.Module) -> None:
    """Freeze a model, and remember what trained until :func:`thaw`.

    Names are remembered, not parameters: an embedding that is resized, a model that is turned to
    another precision or a head that is exchanged has other parameters in their places.

    Args:
        model (nn.Module): What is frozen; nothing of it where PEFT has frozen it already.
        base (nn.Module): The part of it that has the layers, which keeps the names.
    """
    if hasattr(model, "peft_config") or getattr(model, "_hf_peft_config_loaded", False):
        return
    named: Mapping[str, nn.Parameter] = dict(model.named_parameters(remove_duplicate=False))
    trained = [name for name, parameter in named.items() if parameter.requires_grad]
    for name in trained:
        named[name].requires_grad_(False)
    base.__dict__[_STATE] = model, trained


def thaw(base: nn.Module) -> None:
    """Train again what trained before :func:`freeze`; what has come since stays as it is."""
    model, trained = base.__dict__.pop(_STATE, (base, ()))
    for name in trained:
        # By attributes, as a layer that PEFT has wrapped since still has its weight as one.
        parameter = reduce(lambda part, key: getattr(part, key, None), name.split("."), model)
        if isinstance(parameter, nn.Parameter) and parameter.is_floating_point():
            parameter.requires_grad_(True)
