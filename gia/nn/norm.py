"""Root-mean-square norm, for whole nodes or for each head alone."""

import torch
from torch import Tensor, nn

from gia.ops.rms_norm import rms_norm, rms_norm_silu


class RMSNorm(nn.Module):
    r""":math:`\mathbf{x} / \sqrt{\mathrm{mean}(\mathbf{x}^2) + \epsilon} \odot \mathbf{g}`.

    `"Root Mean Square Layer Normalization" <https://arxiv.org/abs/1910.07467>`_, eq. 4. Torch's own
    is made of ten passes over memory on the CPU; this one takes half as many. Statistics of half
    precision are in float32.

    Args:
        channels (int): Channels that are normalised together.
        heads (int, optional): With heads, each has a gain of its own.
        eps (float): Added to the mean square.

    Shapes:
        - **x**, **output:** ``[N, channels]``, or ``[H, N, channels]`` with heads
    """

    def __init__(self, channels: int, heads: int | None = None, *, eps: float = 1e-5):
        super().__init__()
        self.eps = eps
        shape = (channels,) if heads is None else (heads, 1, channels)
        self.weight = nn.Parameter(torch.empty(shape))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.ones_(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        return rms_norm(x, self.weight, self.eps)

    def extra_repr(self) -> str:
        return f"{list(self.weight.shape)}, eps={self.eps}"


class RMSNormSiLU(RMSNorm):
    """The SiLU of :class:`RMSNorm`. The CPU makes what is between anew for the gradient."""

    def forward(self, x: Tensor) -> Tensor:
        return rms_norm_silu(x, self.weight, self.eps)
