"""Edges that the caller knows of, beside those of attention."""

from dataclasses import dataclass

import torch
from torch import Tensor

from gia.typing import OptTensor


@dataclass(frozen=True)
class ExtraEdges:
    """A graph over the tokens of each sequence, from earlier tokens to later ones.

    Args:
        edge_index (Tensor): Source and target tokens, ``[2, E]``, or with the sequence of each
            before them, ``[3, E]``; in all sequences of a batch if left out.
        edge_weight (Tensor, optional): ``[E]``; 1 if left out.

    Raises:
        ValueError: If the shapes do not fit, or an edge goes back in time.
    """

    edge_index: Tensor
    edge_weight: OptTensor = None

    def __post_init__(self) -> None:
        if self.edge_index.dim() != 2 or self.edge_index.size(0) not in (2, 3):
            raise ValueError(
                f"extra edges must have shape [2, E] or [3, E], got {list(self.edge_index.shape)}"
            )
        number = self.edge_index.size(1)
        if self.edge_weight is not None and self.edge_weight.shape != (number,):
            raise ValueError(
                f"their weights must have shape [{number}], got {list(self.edge_weight.shape)}"
            )
        source, target = self.edge_index[-2:]
        if bool((source > target).any()):
            raise ValueError(
                "extra edges go from earlier tokens to later ones: turn those of which the "
                "source is the later"
            )

    def add_to(
        self, index: Tensor, weight: Tensor, shape: tuple[int, int, int], first: int
    ) -> tuple[Tensor, Tensor]:
        """Add them to the edges of a batch.

        Args:
            index (Tensor): Sources b K + j and targets b Q + i, ``[2, E]``.
            weight (Tensor): ``[E]`` or ``[E, H]``.
            shape (tuple of int): Sequences B, queries Q and keys K.
            first (int): The key slot of the first query.
        """
        sequences, queries, keys = shape
        edges = self.edge_index.to(index.device)
        extra = self.edge_weight
        extra = weight.new_ones(edges.size(1)) if extra is None else extra.to(weight)
        if edges.size(0) == 2:
            batch = torch.arange(sequences, device=index.device).repeat_interleave(edges.size(1))
            edges = torch.cat([batch.unsqueeze(0), edges.repeat(1, sequences)])
            extra = extra.repeat(sequences)
        sequence, source, target = edges
        target = target - first
        here = (target >= 0) & (target < queries) & (source < keys) & (sequence < sequences)
        sequence, source, target = sequence[here], source[here], target[here]
        added = torch.stack([sequence * keys + source, sequence * queries + target])
        extra = extra[here]
        if weight.dim() == 2:
            extra = extra.unsqueeze(1).expand(-1, weight.size(1))
        return torch.cat([index, added], 1), torch.cat([weight, extra])
