"""Which parameters of adapters learn at a rate of their own."""

from torch import nn

from gia.adapters.decoder_layer import AdaptedLayer

SCALARS = {"scale", "gate", "threshold", "eps", "g"}  # the last parts of their names


def lr_factors(model: nn.Module) -> dict[str, float]:
    r"""The learning rates of scales, gates, thresholds, :math:`\epsilon` and g, over the others'.

    They are single numbers that have a long way to go, at which an optimizer that moves each
    number by the same step would arrive late: ``scalar_lr`` of the configuration is their factor.

    Args:
        model (nn.Module): A model with adapters, or a module that holds one.

    Returns:
        dict: By the names that ``model.named_parameters()`` has; of all others it is 1.
    """
    return {
        f"{layer}.adapters.{name}.{parameter}": part.config.scalar_lr
        for layer, module in model.named_modules()
        if isinstance(module, AdaptedLayer)
        for name, part in module.adapters.items()
        for parameter, _ in part.named_parameters()
        if parameter.rpartition(".")[2] in SCALARS
    }
