"""PNA message passing with learned edge weights."""

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor
from torch_geometric.nn import PNAConv as PyGPNAConv
from torch_geometric.nn.inits import reset
from torch_geometric.typing import SparseTensor

from gia.graph import Adjacency, EdgeAdjacency
from gia.nn.conv.aggregate import TOKEN_AGGREGATORS, aggregate, aggregator_name
from gia.nn.conv.explain import explained
from gia.nn.conv.inputs import as_adjacency, encode_edge_attr, take_edge_attr, written_out
from gia.typing import OptTensor


class PNAConv(PyGPNAConv):
    r"""Principal neighbourhood aggregation on a weighted graph, for one or several heads (towers).

    .. math::
        \mathbf{x}'_i = \gamma_\Theta \Big( \mathbf{x}_i, \,
        S(\deg_i) \otimes \big[ \textstyle\sum, \mu, \max, \min, \sigma \big]_{j \in
        \mathcal{N}(i)} h_\Theta(\mathbf{x}_i, \mathbf{x}_j) \Big)

    From `"Principal Neighbourhood Aggregation for Graph Nets"
    <https://arxiv.org/abs/2004.05718>`_; how a weight enters each aggregator says
    :func:`gia.nn.conv.aggregate`. ``edge_weight`` left out is PyG's layer.

    Args:
        in_channels, out_channels, aggregators, scalers, deg, edge_dim, towers, pre_layers,
            post_layers, divide_input, act, act_kwargs, train_norm, **kwargs: As in
            :class:`torch_geometric.nn.PNAConv`, with two additions: ``deg`` may be left out where
            no scaler but ``"identity"`` is used, and ``pre_layers=0`` sends the source's features
            as they are, which is what attention does and what can be fused.
        nn (Module, optional): Replaces the post-layers and the final projection: maps what is
            aggregated, ``[N, H, A * S * F]`` for A aggregators and S scalers, to ``[N, H, F']``. If
            it has ``takes_parts = True``, as :class:`~gia.nn.PerHeadMLP`, it gets the A * S
            tensors as a list, which spares a copy.
        threshold (float): The aggregators ``token_max`` and ``token_min`` (see
            :func:`gia.nn.conv.aggregate`) look at neighbours with a weight above it.
        degree (str): What the scalers count: ``"weight"``, the sum of a node's weights, or
            ``"count"``, the number of its edges.

    Shapes:
        - **x:** ``[N, in_channels]``
        - **edge_index:** ``[2, E]``, a sparse ``adj_t``, or an :class:`~gia.graph.Adjacency`
        - **edge_attr:** ``[E, edge_dim]``
        - **edge_weight:** ``[E]``, or ``[E, H]`` with one head a tower
        - **output:** ``[N, out_channels]``

    Raises:
        ValueError: If channels and towers do not fit, or a scaler lacks ``deg``.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        aggregators: list[str],
        scalers: list[str],
        deg: OptTensor = None,
        edge_dim: int | None = None,
        towers: int = 1,
        pre_layers: int = 1,
        post_layers: int = 1,
        divide_input: bool = False,
        act: str | Callable | None = "relu",
        act_kwargs: dict[str, Any] | None = None,
        train_norm: bool = False,
        *,
        nn: torch.nn.Module | None = None,
        degree: Literal["weight", "count"] = "weight",
        threshold: float = 0.0,
        **kwargs,
    ):
        if (divide_input and in_channels % towers) or out_channels % towers:
            raise ValueError(
                f"{towers} towers cannot share {in_channels} input and {out_channels} output "
                "channels evenly"
            )
        if deg is None and list(scalers) != ["identity"]:
            raise ValueError(
                f"scalers {list(scalers)} need deg, the histogram of degrees: see "
                "PNAConv.get_degree_histogram"
            )
        if pre_layers == 0 and edge_dim is not None:
            raise ValueError("edge attributes enter the pre-layers: use pre_layers of at least 1")
        if degree not in ("weight", "count"):
            raise ValueError(f"degree must be 'weight' or 'count', got {degree!r}")
        # On the CPU even where models are built on another device: PyG reads numbers from it.
        deg = (
            torch.tensor([0, 1], device="cpu")
            if deg is None
            else torch.as_tensor(deg, device="cpu")
        )
        super().__init__(
            in_channels,
            out_channels,
            # The parent knows its own, and makes as much room for each.
            ["max" if name in TOKEN_AGGREGATORS else name for name in aggregators],
            scalers,
            deg,
            edge_dim,
            towers,
            max(pre_layers, 1),
            post_layers,
            divide_input,
            act,
            act_kwargs,
            train_norm,
            **kwargs,
        )
        self.aggregators = [aggregator_name(aggregator) for aggregator in aggregators]
        self.degree, self.threshold = degree, threshold
        if pre_layers == 0:
            self.pre_nns = torch.nn.ModuleList()
        self.nn = nn
        if nn is not None:
            self.post_nns = torch.nn.ModuleList()
            self.lin = torch.nn.Identity()

    def forward(
        self,
        x: Tensor,
        edge_index: Adjacency | Tensor | SparseTensor,
        edge_attr: OptTensor = None,
        *,
        edge_weight: OptTensor = None,
    ) -> Tensor:
        edge_index, edge_attr = take_edge_attr(edge_index, edge_attr, self.edge_dim)
        adjacency = as_adjacency(edge_index, edge_weight, num_nodes=x.size(0), flow=self.flow)
        if self.divide_input:
            x = x.view(-1, self.towers, self.F_in)  # [N, H, F]
        else:
            x = x.unsqueeze(1).expand(-1, self.towers, -1)

        messages = x
        if len(self.pre_nns) > 0 or self.explain:  # one for each edge
            edges = written_out(adjacency)
            messages = explained(self, self._messages(x, edges, edge_attr), adjacency)
            adjacency = edges.incidence()
        # A * S tensors, [N, H, F] each
        parts = self._scale(
            aggregate(self.aggregators, messages, adjacency, threshold=self.threshold), adjacency
        )

        if self.nn is not None:
            takes_parts = getattr(self.nn, "takes_parts", False)
            return self.nn(parts if takes_parts else torch.cat(parts, dim=-1)).flatten(1)
        out = torch.cat([x, *parts], dim=-1)
        return self.lin(torch.cat([nn(out[:, i]) for i, nn in enumerate(self.post_nns)], dim=1))

    @property
    def needs_edges(self) -> bool:
        """Whether its aggregators look at single edges."""
        return bool(set(self.aggregators) & set(TOKEN_AGGREGATORS)) or len(self.pre_nns) > 0

    def reset_parameters(self) -> None:
        for module in self.children():
            reset(module)

    def _messages(self, x: Tensor, edges: EdgeAdjacency, edge_attr: OptTensor) -> Tensor:
        source, target = edges.edge_index
        if len(self.pre_nns) == 0:
            return x.index_select(0, source)  # [E, H, F]
        ends = [x.index_select(0, target), x.index_select(0, source)]
        if edge_attr is not None:
            encoded = encode_edge_attr(self.edge_encoder, edge_attr, source.numel())
            ends.append(encoded.unsqueeze(1).expand(-1, self.towers, -1))
        ends = torch.cat(ends, dim=-1)  # [E, H, 2F or 3F]
        return torch.stack([nn(ends[:, i]) for i, nn in enumerate(self.pre_nns)], dim=1)

    def _scale(self, parts: list[Tensor], adjacency: Adjacency) -> list[Tensor]:
        if self.aggr_module.scaler == ["identity"]:
            return parts
        degree = adjacency.degree() if self.degree == "weight" else adjacency.count()
        degree = degree.to(parts[0].dtype).unsqueeze(-1)  # [N, H or 1, 1]
        linear, log = self.aggr_module.avg_deg_lin, self.aggr_module.avg_deg_log
        factor = {
            "identity": lambda: torch.ones_like(degree),
            "amplification": lambda: torch.log(degree + 1) / log,
            # As PyG has it, so that a node without neighbours does not divide by zero.
            "attenuation": lambda: log / torch.log(degree.clamp(min=1) + 1),
            "linear": lambda: degree / linear,
            "inverse_linear": lambda: linear / degree.clamp(min=1),
        }
        factors = [factor[name]() for name in self.aggr_module.scaler]
        return [part * scale for scale in factors for part in parts]
