"""Targets in physical units, and as a model learns them."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn


class TargetScaler(nn.Module):
    r"""Moves targets to mean 0 and spread 1, and predictions back: :math:`z = (y - \mu) / \sigma`.

    The numbers are buffers, so that a checkpoint holds them. They stay in float32 in a model of
    half precision, where a mean of 300 K would be off by one.

    Args:
        mean (list of float): :math:`\mu` of each target, ``[T]``, of the training split alone.
        std (list of float): :math:`\sigma` of each target, ``[T]``.

    Raises:
        ValueError: If the two differ in length, or a number cannot be used.

    Shapes:
        - **target:** ``[..., T]``; NaN stays NaN
        - **output:** ``[..., T]``
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float]):
        super().__init__()
        mean, std = [float(number) for number in mean], [float(number) for number in std]
        if len(mean) != len(std):
            raise ValueError(f"there are {len(mean)} target means, but {len(std)} target stds")
        for number in mean:
            if not math.isfinite(number):
                raise ValueError(f"a target's mean must be finite, got {number}")
        for number in std:
            if not (math.isfinite(number) and number > 0):
                raise ValueError(
                    f"a target's std must be finite and above 0, got {number}: "
                    "take 1 for a target that is constant"
                )
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32))

    def _apply(self, fn: Callable, recurse: bool = True) -> "TargetScaler":
        mean, std = self.mean, self.std
        super()._apply(fn, recurse)
        if self.mean.dtype in (torch.bfloat16, torch.float16):
            self.mean, self.std = mean.to(self.mean.device), std.to(self.mean.device)
        return self

    def forward(self, target: Tensor) -> Tensor:
        return (target - self.mean) / self.std

    def inverse(self, output: Tensor) -> Tensor:
        """What a model's output is in physical units."""
        return output * self.std + self.mean

    def limits(
        self, target_range: Sequence[Sequence[float]] | None, extrapolation: float | None
    ) -> Tensor | None:
        """Between which numbers predictions lie, normalised, ``[2, T]``; None if anywhere.

        Args:
            target_range (list of pairs, optional): The least and the largest of each target,
                infinite where there is none.
            extrapolation (float, optional): How far beyond, as a share of the range; of the spread
                where the range is infinite.

        Raises:
            ValueError: If the extrapolation is negative, or ranges and targets differ in number.
        """
        if extrapolation is not None and not 0 <= extrapolation < math.inf:
            raise ValueError(
                f"task.extrapolation must be a number of at least 0, or null, got {extrapolation}"
            )
        if extrapolation is None or target_range is None:
            return None
        least, most = torch.tensor(target_range, dtype=torch.float64).view(-1, 2).T
        if len(least) != len(self.mean):
            raise ValueError(f"there are {len(self.mean)} targets, but {len(least)} target ranges")
        width = most - least
        width = torch.where(width.isfinite(), width, self.std.double())
        held = torch.stack([least - extrapolation * width, most + extrapolation * width])
        # Finite, since weights may be averaged, and the difference of two infinities is no number.
        return self(held).float().nan_to_num()
