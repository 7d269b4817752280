"""From the attention of a layer to the edges of its graph and their weights."""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import threshold
from torch_geometric.utils import scatter

from gia.adapters.config import SparseGINConfig
from gia.graph.base import divisor
from gia.ops.top_k import top_k, top_k_of_rows
from gia.typing import OptTensor


class EdgeWeights(nn.Module):
    r"""Reads attention as a sparse graph: which pairs are edges, and how much each counts.

    The adjacency of Sparse-GIN in `"Graph-Aware Isomorphic Attention"
    <https://arxiv.org/abs/2501.02393>`_, whose equation :class:`~gia.adapters.SparseGINConfig`
    has. :meth:`keep` looks at all pairs and has no gradient; :meth:`forward` looks at the edges
    alone, and has gradients with respect to attention and parameters.

    Args:
        config (SparseGINConfig): The options.
        heads (int): Heads H of the attention.

    Attributes:
        threshold (Parameter or float): t.
        head_network (Module, optional): Weighs the heads of ``combine="learned"``.
    """

    def __init__(self, config: SparseGINConfig, heads: int):
        super().__init__()
        if heads < 1:
            raise ValueError(f"heads must be at least 1, got {heads}")
        self.config, self.heads = config, heads
        self.threshold: nn.Parameter | float = config.threshold
        if config.train_threshold:
            self.threshold = nn.Parameter(torch.tensor(float(config.threshold)))
        self.head_network = None
        if config.combine == "learned":
            last = nn.Linear(heads, heads)
            nn.init.zeros_(last.weight)  # all heads count 1: the plain sum
            nn.init.zeros_(last.bias)
            self.head_network = nn.Sequential(nn.Linear(heads, heads), nn.SiLU(), last)

    @property
    def groups(self) -> int:
        """Weights that an edge has: one, or one for each head."""
        return self.heads if self.config.combine == "per_head" else 1

    @property
    def needs_distance(self) -> bool:
        """Whether it matters how far apart tokens are."""
        config = self.config
        placed = config.sinks or config.edge_direction == "published"
        itself = not (config.self_loops or self.drops_zeros)
        return bool(placed or itself) or config.distance is not None

    @property
    def drops_zeros(self) -> bool:
        """Whether attention of 0 makes an edge of weight 0, which is none in a sum."""
        return self.config.steepness is None and self.config.combine != "any"

    @property
    def learns(self) -> bool:
        """Whether weights of edges have a gradient, to attention or to parameters of their own."""
        return self.config.edge_gradients or next(self.parameters(), None) is not None

    @torch.no_grad()
    def keep(
        self,
        attention: Tensor,
        allowed: Tensor,
        distance: Tensor,
        source_position: OptTensor = None,
    ) -> Tensor:
        """Which pairs are edges; with graphs of single heads, those that are one in any of them.

        Args:
            attention (Tensor): Attention of target tokens to source tokens (key slots).
            allowed (Tensor): Which pairs may be edges at all.
            distance (Tensor): Position of the target minus that of the source.
            source_position (Tensor, optional): Positions of the sources in their sequences, which
                ``sinks`` asks for.

        Shapes:
            - **attention:** ``[B, H, Q, K]``
            - **allowed:** ``[B, 1, Q, K]``, or what broadcasts to it
            - **distance**, **output:** ``[B, Q, K]``, or what broadcasts to it
            - **source_position:** ``[B, K]``

        Raises:
            ValueError: If the attention has other heads, or positions are missing.
        """
        combined = self._combined(attention, distance)
        chosen = self._chosen(combined, allowed, distance, source_position)
        return chosen.any(1) if combined.dim() == 4 else chosen

    def dense(
        self,
        attention: Tensor,
        allowed: OptTensor,
        distance: OptTensor,
        source_position: OptTensor = None,
    ) -> Tensor:
        """The weights of all pairs at once, 0 where there is no edge: for few targets, and where
        no gradient is asked for.

        Args:
            attention, source_position: As for :meth:`keep`.
            allowed (Tensor, optional): As for :meth:`keep`; left out, every pair.
            distance (Tensor, optional): As for :meth:`keep`; asked for if :attr:`needs_distance`.
                Left out, attention of a token to itself has to be 0 without ``self_loops``.

        Shapes:
            - **output:** ``[B, 1, Q, K]``; with graphs of single heads ``[B, H, Q, K]``
        """
        combined = self._combined(attention, distance)
        if self.drops_zeros and self.config.top_k is None and distance is None:
            # What is not allowed, a token itself too where it may not be, has no attention.
            level = self.config.cut
            weight = combined if level is None else threshold(combined, level, 0.0)
        else:
            chosen = self._chosen(combined, allowed, distance, source_position)
            weight = self._weigh(combined).masked_fill(chosen.logical_not(), 0)
        if self.config.normalize:
            total = weight.sum(-1, keepdim=True)
            weight = weight / total.clamp(min=torch.finfo(total.dtype).tiny)
        return weight if combined.dim() == 4 else weight.unsqueeze(1)

    def forward(
        self, attention: Tensor, distance: Tensor, target: Tensor, num_targets: int
    ) -> Tensor:
        """The weights of the edges that :meth:`keep` chose.

        Args:
            attention (Tensor): Attention along each edge. Edges that arrive at the same target are
                in the order of their sources.
            distance (Tensor): Position of the target minus that of the source.
            target (Tensor): Where each edge arrives.
            num_targets (int): Number of targets N.

        Shapes:
            - **attention:** ``[E, H]``
            - **distance**, **target:** ``[E]``
            - **output:** ``[E]``; with graphs of single heads ``[E, H]``, 0 where a head lacks the
              edge. At least in float32

        Raises:
            ValueError: If the attention has other heads.
        """
        self._check_heads(attention, "[E, H]", 2)
        if not self.config.edge_gradients:
            attention = attention.detach()
        combined = self._combine(attention, distance)  # [E], or [E, H]
        weight = self._weigh(combined)
        if combined.dim() == 2:
            with torch.no_grad():
                if self.config.top_k is None:
                    keep = self._above_cut(combined)
                else:
                    keep = self._largest_of_heads(combined, target)
            weight = weight.masked_fill(~keep, 0)
        if self.config.normalize:
            total = scatter(weight, target, dim=0, dim_size=num_targets, reduce="sum")
            weight = weight / divisor(total)[target]
        return weight

    def extra_repr(self) -> str:
        config = self.config
        edges = f"cut={config.cut}" if config.top_k is None else f"top_k={config.top_k}"
        return f"heads={self.heads}, combine={config.combine}, {edges}"

    def _combined(self, attention: Tensor, distance: OptTensor) -> Tensor:
        self._check_heads(attention, "[B, H, Q, K]", 4)
        return self._combine(attention, distance)

    def _chosen(
        self,
        combined: Tensor,
        allowed: OptTensor,
        distance: OptTensor,
        source_position: OptTensor,
    ) -> Tensor:
        """Where there are edges, ``[B, Q, K]``, or ``[B, H, Q, K]`` for each head."""
        places = self._allowed_places(distance, source_position)
        if allowed is not None:
            allowed = allowed.squeeze(1)
            places = allowed if places is None else allowed & places
        if places is not None and combined.dim() == 4:
            places = places.unsqueeze(1)
        if self.config.top_k is None:
            chosen = self._above_cut(combined)
            return chosen if places is None else chosen & places
        if places is not None:  # of what is not allowed nothing may take a place
            combined = combined.masked_fill(~places, -torch.inf)
        return top_k(combined, self.config.top_k)

    def _combine(self, attention: Tensor, distance: OptTensor) -> Tensor:
        """One number for each pair (a number for each head in their own graphs), at most 1.

        Heads are the second dimension of attention.
        """
        combine = self.config.combine
        dtype = torch.promote_types(attention.dtype, torch.float32)
        if combine == "sum":
            combined = attention.sum(1, dtype=dtype).clamp(max=1)
        elif combine == "mean":
            combined = attention.mean(1, dtype=dtype)
        elif combine == "any":  # the sigmoid of the largest is the largest sigmoid
            largest = attention.amax(1).to(dtype)
            combined = ((largest - self.threshold) / self.config.tau).sigmoid()
        elif combine == "learned":
            of_heads = attention.movedim(1, -1)
            logits = self.head_network(of_heads.to(self.head_network[0].weight.dtype))
            share = logits.to(dtype).softmax(-1) * self.heads
            combined = (share * of_heads).sum(-1).clamp(max=1)
        else:
            combined = attention.to(dtype)
        if self.config.distance is None:
            return combined
        if combined.dim() > distance.dim():  # of each head
            distance = distance.unsqueeze(1)
        return combined * self._nearness(distance.abs().to(dtype))

    def _nearness(self, distance: Tensor) -> Tensor:
        strength = self.config.distance_strength
        if self.config.distance == "sigmoid":
            return 2 * (-strength * distance).sigmoid()
        if self.config.distance == "exp":
            return (-strength * distance).exp()
        return (strength * distance + 1) ** -strength

    def _weigh(self, combined: Tensor) -> Tensor:
        """A' from A."""
        if self.config.steepness is None:
            return combined
        return (self.config.steepness * (combined - self.threshold)).sigmoid()

    def _above_cut(self, combined: Tensor) -> Tensor:
        """Where A' is above the cut, without computing A' for all pairs: where A is high enough."""
        level = self.config.cut
        if level is None:
            return torch.ones_like(combined, dtype=torch.bool)
        if self.config.steepness is not None:
            level = self.threshold + math.log(level / (1 - level)) / self.config.steepness
        return ~(combined <= level)  # NaN is an edge, to be seen

    def _largest_of_heads(self, combined: Tensor, target: Tensor) -> Tensor:
        """True at the edges that a head has itself, ``[E, H]``."""
        row = target.unsqueeze(1) * self.heads + torch.arange(self.heads, device=target.device)
        chosen = top_k_of_rows(combined.flatten(), row.flatten(), self.config.top_k)
        return chosen.view_as(combined)

    def _allowed_places(self, distance: OptTensor, source_position: OptTensor) -> OptTensor:
        """What the options say of a pair by its place alone; None if nothing."""
        config, places = self.config, None
        if config.edge_direction == "published":
            places = distance == 0
        elif config.sinks and source_position is None:
            raise ValueError(
                f"sinks={config.sinks} needs source_position [B, K], the positions of the "
                "sources in their sequences"
            )
        elif config.sinks:
            places = (source_position >= config.sinks).unsqueeze(-2) | (distance == 0)
        if not config.self_loops and distance is not None:  # else attention to itself is 0
            places = distance != 0 if places is None else places & (distance != 0)
        return places

    def _check_heads(self, attention: Tensor, shape: str, dimensions: int) -> None:
        if attention.dim() != dimensions or attention.size(1) != self.heads:
            raise ValueError(
                f"attention must have shape {shape} with H = {self.heads} heads, "
                f"got {list(attention.shape)}"
            )
