"""What is trained of a pretrained model, in one word each: an adapter, or everything."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from torch import nn

from gia.adapters.model import add, disabled


@runtime_checkable
class Tuning(Protocol):
    """A way to train a model: what configurations of adapters are not, which ``add`` takes."""

    keeps_base: bool  # whether the model's own weights stay as they are

    def attach(self, model: nn.Module) -> None:
        """Make those parameters trainable that are trained, and no others."""

    def disabled(self, model: nn.Module) -> AbstractContextManager:
        """The model as it was before, for a while."""


@dataclass(frozen=True)
class LoRA:
    r"""PEFT's own `LoRA <https://arxiv.org/abs/2106.09685>`_:
    :math:`W x + \tfrac{\alpha}{r} B A x`, with its names.

    Args:
        r (int): Rows of A.
        lora_alpha (float): :math:`\alpha`.
        lora_dropout (float): Before A.
        target_modules (str or list of str): Which layers; ``"all-linear"``: all but the output.

    Raises:
        ValueError: If a number is out of its range, or when attached, if there is no such layer.
    """

    r: int = 6
    lora_alpha: float = 12.0
    lora_dropout: float = 0.0
    target_modules: str | Sequence[str] = "all-linear"
    keeps_base = True

    def __post_init__(self) -> None:
        if isinstance(self.r, bool) or not isinstance(self.r, int) or self.r < 1:
            raise ValueError(f"adapter.r must be a whole number of at least 1, got {self.r}")
        if not 0 <= self.lora_dropout < 1:
            raise ValueError(
                f"adapter.lora_dropout must be from 0 to below 1, got {self.lora_dropout}"
            )

    def attach(self, model: nn.Module) -> None:
        """Freeze a Hugging Face model and put LoRA into its layers."""
        from peft import LoraConfig, inject_adapter_in_model

        targets = self.target_modules
        config = LoraConfig(
            r=self.r,
            lora_alpha=self.lora_alpha,
            lora_dropout=self.lora_dropout,
            target_modules=targets if isinstance(targets, str) else list(targets),
        )
        inject_adapter_in_model(config, model)

    @contextmanager
    def disabled(self, model: nn.Module) -> Iterator[None]:
        """The model without LoRA."""
        from peft.tuners.tuners_utils import BaseTunerLayer

        layers = [layer for layer in model.modules() if isinstance(layer, BaseTunerLayer)]
        for layer in layers:
            layer.enable_adapters(False)
        try:
            yield
        finally:
            for layer in layers:
                layer.enable_adapters(True)


@dataclass(frozen=True)
class FullFineTuning:
    """All weights are trained."""

    keeps_base = False

    def attach(self, model: nn.Module) -> None:
        """Let all parameters be trained."""
        model.requires_grad_(True)

    def disabled(self, model: nn.Module) -> AbstractContextManager:
        """There is no way back.

        Raises:
            ValueError: Always.
        """
        raise ValueError("where all weights are trained, the model is no longer what it was")


@dataclass(frozen=True)
class Adapter:
    """An adapter of gia's.

    Args:
        config: What :func:`gia.adapters.add` takes.
    """

    config: Any
    keeps_base = True

    def attach(self, model: nn.Module) -> None:
        """Freeze the model and add the adapter."""
        add(model, self.config)

    def disabled(self, model: nn.Module) -> AbstractContextManager:
        """The model without it."""
        return disabled(model)


def tuning(adapter: Any) -> Tuning:
    """The way to train that an adapter's configuration stands for."""
    return adapter if isinstance(adapter, Tuning) else Adapter(adapter)
