"""Features of whole graphs as a model reads them."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from gia.nn.soft_limit import soft_limit
from gia.typing import OptTensor


class GraphFeatures(nn.Module):
    r"""Features of graphs, scaled so that no outlier rules them.

    .. math::
        z = \frac{u}{\sqrt{1 + (u / 3)^2}}, \qquad u = (f - c) / s

    with a centre :math:`c` and a spread :math:`s` that outliers do not move, as in `RealMLP
    <https://arxiv.org/abs/2407.04491>`_, equation 2. What is NaN counts as the centre, and so does
    what is infinite; a feature whose :math:`s` is 0, as it was the same throughout the training,
    is 0. The numbers are buffers, so that a checkpoint holds them, and stay in float32 in a model
    of half precision.

    Args:
        channels (int): Features F of a graph.
        center (list of float): :math:`c` of the first of them, of the training split alone; those
            behind, such as bits, are left as they are.
        scale (list of float): :math:`s` of the same.
        dropout (float): How many of all features a graph does without while training: there are
            often more of them than a few hundred graphs can tell apart.

    Shapes:
        - **features:** ``[B, F]``
        - **output:** ``[B, F]``, float32

    Raises:
        ValueError: If the numbers do not fit, or the data has other features.
    """

    def __init__(
        self,
        channels: int,
        center: Sequence[float] = (),
        scale: Sequence[float] = (),
        dropout: float = 0.0,
    ):
        super().__init__()
        if not len(center) == len(scale) <= channels:
            raise ValueError(
                f"there are {channels} features of a graph, but {len(center)} centers and "
                f"{len(scale)} scales of them"
            )
        self.channels = channels
        self.dropout = nn.Dropout(dropout)
        self.register_buffer("center", torch.tensor(list(center), dtype=torch.float32))
        self.register_buffer("scale", torch.tensor(list(scale), dtype=torch.float32))

    def _apply(self, fn: Callable, recurse: bool = True) -> "GraphFeatures":
        center, scale = self.center, self.scale
        super()._apply(fn, recurse)
        self.center = center.to(self.center.device)
        self.scale = scale.to(self.scale.device)
        return self

    def forward(self, features: OptTensor) -> Tensor:
        found = 0 if features is None else features.size(1)
        if found != self.channels:
            raise ValueError(
                f"the model takes {self.channels} features of a graph, the data has {found}: give "
                "data.features as for the training, or an attribute graph_features [1, F]"
            )
        features = features.to(torch.float32)
        scaled, others = features.tensor_split([len(self.center)], dim=1)
        scale = self.scale.masked_fill(self.scale == 0, torch.inf)
        u = (scaled - self.center) / scale
        z = soft_limit(u).masked_fill(~scaled.isfinite(), 0.0)
        return self.dropout(torch.cat([z, others], dim=1))
