"""Features of whole graphs as a model reads them."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from gia.typing import OptTensor

LIMIT = 10.0  # standard deviations, beyond which a feature counts as so far


class GraphFeatures(nn.Module):
    r"""Features of graphs, standardised: :math:`z = (f - \mu) / \sigma`, within :math:`\pm 10`.

    What is NaN or infinite counts as the mean, and a feature whose :math:`\sigma` is 0, as it was
    the same throughout the training, is 0. The numbers are buffers, so that a checkpoint holds
    them, and stay in float32 in a model of half precision.

    Args:
        channels (int): Features F of a graph.
        mean (list of float): :math:`\mu` of the first of them, of the training split alone; those
            behind, such as bits, are left as they are.
        std (list of float): :math:`\sigma` of the same.

    Shapes:
        - **features:** ``[B, F]``
        - **output:** ``[B, F]``, float32

    Raises:
        ValueError: If the numbers do not fit, or the data has other features.
    """

    def __init__(self, channels: int, mean: Sequence[float] = (), std: Sequence[float] = ()):
        super().__init__()
        if not len(mean) == len(std) <= channels:
            raise ValueError(
                f"there are {channels} features of a graph, but {len(mean)} means and {len(std)} "
                "stds of them"
            )
        self.channels = channels
        self.register_buffer("mean", torch.tensor(list(mean), dtype=torch.float32))
        self.register_buffer("std", torch.tensor(list(std), dtype=torch.float32))

    def _apply(self, fn: Callable, recurse: bool = True) -> "GraphFeatures":
        mean, std = self.mean, self.std
        super()._apply(fn, recurse)
        self.mean, self.std = mean.to(self.mean.device), std.to(self.std.device)
        return self

    def forward(self, features: OptTensor) -> Tensor:
        found = 0 if features is None else features.size(1)
        if found != self.channels:
            raise ValueError(
                f"the model takes {self.channels} features of a graph, the data has {found}: give "
                "data.features as for the training, or an attribute graph_features [1, F]"
            )
        features = features.to(torch.float32)
        scaled, others = features.tensor_split([len(self.mean)], dim=1)
        std = self.std.masked_fill(self.std == 0, torch.inf)
        z = ((scaled - self.mean) / std).clamp(-LIMIT, LIMIT)
        return torch.cat([z.masked_fill(~scaled.isfinite(), 0.0), others], dim=1)
