"""Edges that the caller knows of, beside those of attention."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch_geometric.utils import coalesce

from gia.adapters.attention_edges import ObservedAttention
from gia.typing import OptTensor


@dataclass(frozen=True)
class ExtraEdges:
    """A graph over the tokens of each sequence, from earlier tokens to later ones.

    Args:
        edge_index (Tensor): Source and target tokens, ``[2, E]``, or with the sequence of each
            before them, ``[3, E]``; in all sequences of a batch if left out.
        edge_weight (Tensor, optional): ``[E]``; 1 if left out.

    Raises:
        ValueError: If shapes or types do not fit, or an edge goes back in time.
    """

    edge_index: Tensor
    edge_weight: OptTensor = None

    def __post_init__(self) -> None:
        index = self.edge_index
        if index.dim() != 2 or index.size(0) not in (2, 3) or index.is_floating_point():
            raise ValueError(
                "extra edges must be whole numbers of shape [2, E] or [3, E], "
                f"got {index.dtype} of shape {list(index.shape)}"
            )
        if self.edge_weight is not None and self.edge_weight.shape != index.shape[1:]:
            raise ValueError(
                f"their weights must have shape [{index.size(1)}], "
                f"got {list(self.edge_weight.shape)}"
            )
        if bool((index < 0).any()):
            raise ValueError("extra edges count tokens and sequences from 0: some are below")
        if bool((index[-2] > index[-1]).any()):
            raise ValueError(
                "extra edges go from earlier tokens to later ones: turn those of which the "
                "source is the later"
            )

    def add_to(
        self, index: Tensor, weight: Tensor, observed: ObservedAttention, seen: int | None
    ) -> tuple[Tensor, Tensor]:
        """Add them to the edges of a batch; to the weight of a pair that is an edge already.

        Pairs that attention may not see (padding, what is out of a window or in another packed
        sequence) are left out.

        Args:
            index (Tensor): Sources b K + j and targets b Q + i, ``[2, E]``.
            weight (Tensor): ``[E]`` or ``[E, H]``.
            observed (ObservedAttention): The attention.
            seen (int, optional): Tokens that a cache has seen, the new ones included; left out,
                there is no cache.

        Raises:
            ValueError: If there is no such sequence, or without a cache no such token.
        """
        sequences, _, queries, keys = observed.shape
        edges = self.edge_index.to(index.device)
        extra = self.edge_weight
        extra = weight.new_ones(edges.size(1)) if extra is None else extra.to(weight)
        if edges.size(0) == 2:
            batch = torch.arange(sequences, device=index.device).repeat_interleave(edges.size(1))
            edges = torch.cat([batch.unsqueeze(0), edges.repeat(1, sequences)])
            extra = extra.repeat(sequences)
        sequence, source, target = edges
        if bool((sequence >= sequences).any()):
            raise ValueError(
                f"extra edges name sequence {int(sequence.max())}, but there are {sequences}"
            )
        if seen is None and bool((target >= queries).any()):
            raise ValueError(f"extra edges name token {int(target.max())}, but there are {queries}")
        total = queries if seen is None else seen
        target = target - (total - queries)
        source = source - max(0, total - keys)  # earlier ones have left the window
        here = (target >= 0) & (target < queries) & (source >= 0)
        sequence, source, target, extra = (x[here] for x in (sequence, source, target, extra))
        if observed.mask is not None:
            allowed = observed.allowed(slice(0, queries)).any(1)
            allowed = allowed.expand(sequences, -1, -1)[sequence, target, source]
            sequence, source, target, extra = (
                x[allowed] for x in (sequence, source, target, extra)
            )
        added = torch.stack([sequence * keys + source, sequence * queries + target])
        if weight.dim() == 2:
            extra = extra.unsqueeze(1).expand(-1, weight.size(1))
        # Ordered by target, then source, as the edges of attention are.
        return coalesce(
            torch.cat([index, added], 1),
            torch.cat([weight, extra]),
            num_nodes=sequences * max(queries, keys),
            sort_by_row=False,
        )
