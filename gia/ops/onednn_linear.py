"""Linear layers without gradients by oneDNN, where torch would take another library's product."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear
from torch.overrides import TorchFunctionMode

# What torch.compile makes of them; another torch may not have it.
_pointwise = getattr(torch.ops.mkldnn, "_linear_pointwise", None)


class OneDNNLinear(TorchFunctionMode):
    """A context in which linear layers of float32 on a CPU are oneDNN's.

    Torch multiplies by MKL, which leaves half of the speed where the processor is not Intel's:
    measured on a core of an AMD EPYC with AVX-512, 95 of 210 GFLOP/s. The result differs by
    rounding. What has gradients, another type or another device, and all where torch has no
    oneDNN, stays as it is.
    """

    def __torch_function__(
        self, func: Callable, types: Sequence[type], args: tuple = (), kwargs: Any = None
    ) -> Any:
        if func is linear and not kwargs and _fits(*args):
            x, weight, *bias = args
            return _pointwise(x, weight, bias[0] if bias else None, "none", [], "")
        return func(*args, **(kwargs or {}))


def _fits(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> bool:
    given = [one for one in (x, weight, bias) if one is not None]
    return (
        _pointwise is not None
        and torch.backends.mkldnn.is_available()
        and not torch.is_grad_enabled()
        and not torch.is_autocast_enabled("cpu")
        and x.dim() > 1
        and x.size(-1) > 0
        and weight.dim() == 2
        and (bias is None or bias.shape == weight.shape[:1])
        and all(one.dtype == torch.float32 and one.device.type == "cpu" for one in given)
        and all(type(one) in (Tensor, nn.Parameter) for one in given)
    )
