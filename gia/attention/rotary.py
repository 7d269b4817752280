"""Rotary position embedding."""

import torch
from torch import Tensor, nn


class Rotary(nn.Module):
    r"""Angles of the rotary position embedding of `"RoFormer" <https://arxiv.org/abs/2104.09864>`_.

    Channel c and channel c + d/2 of a head form a plane that position p turns by
    :math:`p \, \theta^{-2c/d}`, so that :math:`\mathbf{q}_i \cdot \mathbf{k}_j` depends on i - j.

    Args:
        channels (int): Channels of a head d, even.
        base (float): Longest wavelength divided by :math:`2 \pi`, the :math:`\theta` above.

    Shapes:
        - **pos:** positions, ``[N]``
        - **output:** cosines and sines, ``[2, N, 1, d]``, computed once for all layers

    Raises:
        ValueError: If ``channels`` is odd.
    """

    def __init__(self, channels: int, *, base: float = 10_000.0):
        super().__init__()
        if channels % 2:
            raise ValueError(
                f"rotary positions need an even number of channels per head, got {channels}: "
                "choose a width that is an even multiple of the number of heads"
            )
        self.channels = channels
        self.base = base

    def forward(self, pos: Tensor, dtype: torch.dtype | None = None) -> Tensor:
        # In float64: at position 10,000 float32 angles are off by 1e-3.
        device = pos.device if has_float64(pos.device) else torch.device("cpu")
        exponent = torch.arange(0, self.channels, 2, device=device, dtype=torch.float64)
        angle = pos.to(device).to(torch.float64).unsqueeze(1) * self.base ** (
            -exponent / self.channels
        )
        angle = torch.cat([angle, angle], dim=1).unsqueeze(1)  # [N, 1, d]
        turns = torch.stack([angle.cos(), angle.sin()])
        return turns.to(dtype or torch.get_default_dtype()).to(pos.device)


def has_float64(device: torch.device) -> bool:
    """Whether a device computes in float64; where none does, the host has to."""
    return device.type not in ("mps", "xla")
