"""An attention function for Hugging Face models that lets a layer's adapters look on."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import cache
from typing import Any

from torch import Tensor, nn

from gia.adapters.attention_edges import ObservedAttention
from gia.adapters.kernels import DENSE, check_kernel, mask_of_pairs
from gia.typing import OptTensor

PREFIX = "gia_"
OBSERVER = "_gia_observer"


class ObservedConfig:
    """A model's configuration as an attention sees it that is looked on.

    It differs in the name of the kernel alone. The model keeps its own configuration, where the
    kernel can be changed, shown and saved as ever.

    Args:
        config: Of the model; everything else is read from it and written to it.
        observer: Who looks on, while its ``looks_on`` is true.
    """

    def __init__(self, config: Any, observer: Any):
        self.__dict__.update(_config=config, _observer=observer)

    @property
    def _attn_implementation(self) -> str:
        kernel = self._config._attn_implementation
        return observed_name(kernel) if self._observer.looks_on else kernel

    def __getattr__(self, name: str) -> Any:
        return getattr(self._config, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._config, name, value)

    def __reduce__(self) -> tuple:
        return ObservedConfig, (self._config, self._observer)


@cache
def observed_name(kernel: str) -> str:
    """The name of a kernel that is looked on, registered with transformers.

    Raises:
        ValueError: If its attention cannot be observed.
    """
    from transformers import AttentionInterface

    check_kernel(kernel)
    name = PREFIX + kernel
    if name not in AttentionInterface():
        AttentionInterface.register(name, _looking_on(kernel))
    return name


def _looking_on(kernel: str) -> Callable[..., tuple[Tensor, OptTensor]]:
    from transformers import AttentionInterface

    functions = AttentionInterface()

    def attention(
        module: nn.Module,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attention_mask: OptTensor,
        **kwargs: Any,
    ) -> tuple[Tensor, OptTensor]:
        if kernel == "eager":  # each model file has its own
            compute = sys.modules[type(module).__module__].eager_attention_forward
        else:
            compute = functions[kernel]
        with _own_config(module) if kernel not in DENSE else nullcontext():
            result = compute(module, query, key, value, attention_mask, **kwargs)
        observer = module.__dict__.get(OBSERVER)
        if observer is not None and observer.looks_on:
            scaling = kwargs.get("scaling")
            used = _used(key, query, attention_mask, module, kwargs)
            observer.observe(
                ObservedAttention(
                    query,
                    used,
                    mask_of_pairs(kernel, query, used, attention_mask, kwargs),
                    query.size(-1) ** -0.5 if scaling is None else scaling,
                    # Transformers up to 5.17 hands the cap of scores to torch's kernel too, which
                    # ignores it; later versions refuse.
                    None if kernel == "sdpa" else kwargs.get("softcap"),
                )
            )
        return result

    return attention


@contextmanager
def _own_config(module: nn.Module) -> Iterator[None]:
    """Flash attention asks the configuration which of its kernels is meant."""
    observed = module.__dict__.get("config")
    if not isinstance(observed, ObservedConfig):
        yield
        return
    module.config = observed.__dict__["_config"]
    try:
        yield
    finally:
        module.config = observed


def _used(key: Tensor, query: Tensor, mask: OptTensor, module: nn.Module, kwargs: Any) -> Tensor:
    """The keys that the kernel sees: all, but in the first pass over a static cache."""
    causal = kwargs.get("is_causal")
    causal = getattr(module, "is_causal", True) if causal is None else causal
    if not causal:
        raise ValueError("attention that is not causal has no adapter")
    if mask is None and 1 < query.size(2) < key.size(2):
        return key[:, :, : query.size(2)]
    return key
