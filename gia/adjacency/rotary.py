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
        exponent = torch.arange(0, self.channels, 2, device=pos.device, dtype=torch.float64)
        angle = pos.to(torch.float64).unsqueeze(1) * self.base ** (-exponent / self.channels)
        angle = torch.cat([angle, angle], dim=1).unsqueeze(1)  # [N, 1, d]
        return torch.stack([angle.cos(), angle.sin()]).to(dtype or torch.get_default_dtype())


def rotate(x: Tensor, rotary: Tensor) -> Tensor:
    """Turn x ``[N, H, d]`` by the angles of its nodes ``[2, N, 1, d]``, which get no gradient.

    x keeps its precision, but is turned in that of the angles.
    """
    turned = _Rotate.apply(x, rotary, 1) if torch.is_grad_enabled() else _turn(x, rotary, 1)
    return turned.to(x.dtype)


class _Rotate(torch.autograd.Function):
    """Only the angles are kept for the gradient, which is turned back by them."""

    @staticmethod
    def forward(ctx, x: Tensor, rotary: Tensor, sign: int) -> Tensor:
        ctx.save_for_backward(rotary)
        ctx.sign = sign
        return _turn(x, rotary, sign)

    @staticmethod
    def backward(ctx, grad: Tensor):
        (rotary,) = ctx.saved_tensors
        return _Rotate.apply(grad, rotary, -ctx.sign), None, None


def _turn(x: Tensor, rotary: Tensor, sign: int) -> Tensor:
    """``x * cos + sign * [-x2, x1] * sin`` for the halves of x, in two passes over memory."""
    cos, sin = rotary.unbind()
    first, second = x.chunk(2, dim=-1)
    sin_first, sin_second = sin.chunk(2, dim=-1)
    if sign < 0:  # back: each half of sin belongs to the half that it was multiplied with
        sin_first, sin_second = sin_second, sin_first
    out = x * cos
    out_first, out_second = out.chunk(2, dim=-1)
    out_first.addcmul_(second, sin_first, value=-sign)
    out_second.addcmul_(first, sin_second, value=sign)
    return out
