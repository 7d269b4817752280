"""The part of a Sparse-GIN adapter that belongs to one layer of the model."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from gia.adapters.config import SparseGINConfig
from gia.adapters.hop import HOPS
from gia.adapters.weights import EdgeWeights
from gia.graph import Adjacency
from gia.nn import Dropout, RMSNorm

ACTIVATIONS = {"prelu": nn.PReLU, "silu": nn.SiLU, "gelu": nn.GELU, "relu": nn.ReLU}


class SparseGIN(nn.Module):
    r"""Messages along the edges of a layer's own attention: what is added to its hidden states.

    .. math::
        \mathbf{u} &= W_{in} \mathbf{h}, \quad
        \mathbf{z}_i = (1 + \epsilon) \mathbf{u}_i
        + \mathbf{g} \odot \textstyle\sum_j A'_{ij} \mathbf{u}_j \\
        \mathbf{z} &\leftarrow W_2 \, \mathrm{act}(W_1 \mathbf{z} + \mathbf{b}_1) + \mathbf{b}_2
        + \mathbf{z}, \quad \mathbf{z} \leftarrow \mathrm{dropout}(\mathrm{act}(\mathbf{z})) \\
        \Delta \mathbf{h} &= \lambda \, W_{out} \mathbf{z}

    Sparse-GIN of `"Graph-Aware Isomorphic Attention" <https://arxiv.org/abs/2501.02393>`_; other
    convolutions take the place of the second equation and the first half of the third, once for
    each hop. The slope of PReLU is one number for the whole layer. Published are an RMSNorm of
    :math:`W_{out} \mathbf{z}`, and no gate :math:`\mathbf{g}`.

    Args:
        config (SparseGINConfig): The options.
        width (int): Channels D of the hidden states.
        heads (int): Heads H of the attention.
        layer (int): Which layer of the model it is, from 0.
        num_layers (int): How many the model has.

    Attributes:
        weights (EdgeWeights): Which edges there are, and their weights.
        takes_dense_rows (bool): Whether any form of its graph will do; otherwise it wants a list of
            edges.

    Shapes:
        - **hidden**, **output:** ``[B, Q, D]``, for Q new tokens in each of B sequences
        - **edges:** from B * K sources, numbered ``b * K + j``, to B * Q targets, numbered
          ``b * Q + i``; weights as :class:`~gia.adapters.EdgeWeights` gives them

    Raises:
        ValueError: If heads cannot share the channels evenly, or the edges have other targets.
    """

    def __init__(
        self,
        config: SparseGINConfig,
        *,
        width: int,
        heads: int,
        layer: int = 0,
        num_layers: int = 1,
    ):
        super().__init__()
        if not 0 <= layer < num_layers:
            raise ValueError(f"layer must be from 0 to {num_layers - 1}, got {layer}")
        self.config = config
        self.takes_dense_rows = config.conv in ("gin", "gcn")
        self.weights = EdgeWeights(config, heads)
        channels, groups = config.width_of_messages(width), self.weights.groups
        if channels % groups:
            raise ValueError(
                f"combine='per_head' has {heads} heads share {channels} channels: set channels to "
                f"a multiple of {heads}"
            )
        hidden = max(1, round(config.multiplier * channels))
        eps = 0.0 if config.eps == "standard" else -1.0
        self.in_proj = nn.Linear(width, channels)
        self.hops = nn.ModuleList(
            HOPS[config.conv](channels, hidden, groups, eps=eps, gate=config.gate)
            for _ in range(config.hops)
        )
        self.activation = ACTIVATIONS[config.activation]()
        self.dropout = Dropout(config.dropout)
        self.out_proj = nn.Linear(channels, width)
        self.norm = nn.Identity() if config.norm is None else RMSNorm(width)
        self.scale: nn.Parameter | float = config.start_of_scale(layer, num_layers, channels)
        if config.train_scale:
            self.scale = nn.Parameter(torch.tensor(self.scale))
        if config.zero_output:
            nn.init.zeros_(self.out_proj.weight)
            nn.init.zeros_(self.out_proj.bias)

    def forward(
        self,
        hidden: Tensor,
        edges: Adjacency,
        extend: Callable[[str, Tensor], Tensor] | None = None,
        onto: Tensor | None = None,
    ) -> Tensor:
        """What the caller adds to the hidden states.

        Args:
            hidden (Tensor): Hidden states of the new tokens.
            edges (Adjacency): The edges that arrive at the new tokens.
            extend (callable, optional): ``extend(name, features)`` appends what the new tokens
                send, ``[B, Q, c]``, to what all key slots hold under this name, and gives that,
                ``[B, K, c]``. Left out, the new tokens are all there are: K = Q.
            onto (Tensor, optional): What the result is added to, ``[B, Q, D]``, for
                ``relative_scale``; the hidden states if left out.
        """
        batch, queries, _ = hidden.shape
        if edges.num_nodes != batch * queries:
            raise ValueError(
                f"the edges arrive at {edges.num_nodes} targets, but there are hidden states of "
                f"{batch} x {queries} tokens"
            )
        # The adapter may be trained in a higher precision than the model runs in.
        x = hidden.to(self.in_proj.weight.dtype)
        if self.config.norm == "before":
            x = self.norm(x)
        z = self.in_proj(x).flatten(0, 1)  # [B * Q, g]
        for number, hop in enumerate(self.hops):
            send = partial(_send, extend, f"hop{number}", (batch, queries))
            z = self.activation(hop(z, send, edges, self.activation))
            if self.training:
                z = self.dropout(z)
        delta = self.out_proj(z)
        delta = self.scale * (self.norm(delta) if self.config.norm == "after" else delta)
        delta = delta.view_as(hidden)
        if self.config.relative_scale:
            onto = hidden if onto is None else onto
            delta = delta * (onto.square().mean(-1, keepdim=True) + 1e-6).sqrt()
        return delta.to(hidden.dtype)


def _send(
    extend: Callable[[str, Tensor], Tensor] | None,
    name: str,
    shape: tuple[int, int],
    features: Tensor,
) -> Tensor:
    if extend is None:
        return features
    return extend(name, features.view(*shape, features.size(1))).flatten(0, 1)
