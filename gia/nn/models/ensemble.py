"""Several models of one kind, asked together."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch_geometric.data import Data


class Ensemble(nn.Module):
    """Models that were trained apart, such as with different seeds.

    What they say together is up to the task: numbers are averaged, and so are probabilities.

    Args:
        models (list of nn.Module): The M members, all of one architecture.

    Shapes:
        - **output:** ``[M, ...]``, each member's own

    Raises:
        ValueError: If there are none.
    """

    def __init__(self, models: Sequence[nn.Module]):
        super().__init__()
        if not models:
            raise ValueError("an ensemble needs at least one member")
        self.members = nn.ModuleList(models)

    def forward(self, data: Data) -> Tensor:
        return torch.stack([member(data) for member in self.members])
