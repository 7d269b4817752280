"""A kernel and what it computes, side by side."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeAlias

import torch

Function: TypeAlias = Callable[..., Any]


def defined_by(definition: Function) -> Callable[[Function], Function]:
    """Say in plain torch what a kernel computes.

    The definition takes the kernel's arguments and stands in the module before it. Compiled code is
    made from it, since a compiler fuses and recomputes by itself; tests hold the kernel to it, and
    ``benchmarks/ops.py`` compares the two. It is found as ``kernel.definition``.

    Args:
        definition (callable): The same function of the same arguments, by torch's own operations.
    """

    def decorate(kernel: Function) -> Function:
        @wraps(kernel)
        def call(*args: Any, **kwargs: Any) -> Any:
            chosen = definition if torch.compiler.is_compiling() else kernel
            return chosen(*args, **kwargs)

        call.definition = definition
        return call

    return decorate
