"""PNA message passing with learned edge weights."""

# ruff: noqa: UP045 (PyG's templates and TorchScript read the older spelling)

from collections.abc import Callable
from typing import Any, Literal, Optional

import torch
from torch import Tensor
from torch_geometric.nn import PNAConv as PyGPNAConv
from torch_geometric.nn.inits import reset
from torch_geometric.typing import Adj, OptTensor, Size

from gia.graph import Adjacency
from gia.nn.conv.aggregate import NOT_PYGS, TOKEN_AGGREGATORS, aggregate, aggregator_name
from gia.nn.conv.inputs import as_adjacency, check_edge_attr, take_edge_attr, written_out
from gia.nn.conv.message_passing import WeightedMessagePassing, arriving


class PNAConv(WeightedMessagePassing, PyGPNAConv, layer=True):
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
            ["max" if name in NOT_PYGS else name for name in aggregators],
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
        edge_index: Adj,
        edge_attr: OptTensor = None,
        edge_weight: OptTensor = None,
    ) -> Tensor:
        nodes = x.size(0)
        if self.divide_input:
            x = x.view(-1, self.towers, self.F_in)  # [N, H, F]
        else:
            x = x.unsqueeze(1).expand(-1, self.towers, -1)
        size = torch.jit.annotate(Size, None)
        adj_weight, adj_head = edge_weight, torch.jit.annotate(Optional[Tensor], None)
        if not torch.jit.is_scripting():
            needed = self.edge_dim is not None
            edge_index, edge_attr = take_edge_attr(
                edge_index, edge_attr, self.edge_dim, needed=needed
            )
            if self.is_plain():
                adjacency = as_adjacency(edge_index, edge_weight, num_nodes=nodes, flow=self.flow)
                return self._fast(x, adjacency, edge_attr)
            call = self.call(edge_index, edge_weight, nodes, nodes)
            edge_index, edge_weight, adj_weight, adj_head, size, number = call
            self._check(edge_attr, number)
        # propagate_type: (x: Tensor, edge_attr: OptTensor, edge_weight: OptTensor,
        #                  adj_weight: OptTensor, adj_head: OptTensor)
        out = self.propagate(
            edge_index,
            x=x,
            edge_attr=edge_attr,
            edge_weight=edge_weight,
            adj_weight=adj_weight,
            adj_head=adj_head,
            size=size,
        )
        if self.nn is not None:
            return self.nn(out).flatten(1)
        return self._finish(torch.cat([x, out], dim=-1))

    @torch.jit.unused
    def _fast(self, x: Tensor, adjacency: Adjacency, edge_attr: OptTensor) -> Tensor:
        """The same where nobody looks: features that are sent as they are, are not written out."""
        sent = x
        if len(self.pre_nns) > 0:
            edges = written_out(adjacency)
            source, target = edges.edge_index
            self._check(edge_attr, source.numel())
            sent = self.message(x.index_select(0, target), x.index_select(0, source), edge_attr)
            adjacency = edges.incidence()
        parts = self._parts(sent, adjacency, x)
        if self.nn is not None:
            takes_parts = getattr(self.nn, "takes_parts", False)
            return self.nn(parts if takes_parts else torch.cat(parts, dim=-1)).flatten(1)
        return self._finish(torch.cat([x, *parts], dim=-1))

    @torch.jit.unused
    def _check(self, edge_attr: OptTensor, num_edges: int) -> None:
        if edge_attr is not None:
            check_edge_attr(edge_attr, num_edges, self.edge_encoder.in_channels)

    def _finish(self, out: Tensor) -> Tensor:
        """The post-layers of each tower and the projection, ``[N, H, *]`` to ``[N, D']``."""
        outs = [nn(out[:, i]) for i, nn in enumerate(self.post_nns)]
        return self.lin(torch.cat(outs, dim=1))

    def message(self, x_i: Tensor, x_j: Tensor, edge_attr: OptTensor = None) -> Tensor:
        if len(self.pre_nns) == 0:
            return x_j  # [E, H, F]
        parts = [x_i, x_j]
        if self.edge_dim is not None:  # noqa: SIM102 (TorchScript leaves this out where it is None)
            if edge_attr is not None:
                encoded = self.edge_encoder(edge_attr)
                parts.append(encoded.unsqueeze(1).expand(-1, self.towers, -1))
        h = torch.cat(parts, dim=-1)  # [E, H, 2F or 3F]
        return torch.stack([nn(h[:, i]) for i, nn in enumerate(self.pre_nns)], dim=1)

    def aggregate(
        self,
        inputs: Tensor,
        x: Tensor,
        index: Tensor,
        ptr: Optional[Tensor] = None,
        dim_size: Optional[int] = None,
        adj_weight: OptTensor = None,
        adj_head: OptTensor = None,
    ) -> Tensor:
        if torch.jit.is_scripting():
            if adj_weight is not None:
                raise NotImplementedError("TorchScript takes graphs without weights")
            return self.aggr_module(inputs, index, ptr=ptr, dim_size=dim_size, dim=self.node_dim)
        else:
            graph = arriving(index, ptr, dim_size, adj_weight, adj_head, self.towers)
            return torch.cat(self._parts(inputs, graph, x), dim=-1)

    @property
    def needs_edges(self) -> bool:
        """Whether its aggregators look at single edges."""
        return bool(set(self.aggregators) & set(TOKEN_AGGREGATORS)) or len(self.pre_nns) > 0

    def __prepare_scriptable__(self) -> "PNAConv":
        if set(self.aggregators) & set(NOT_PYGS):
            raise NotImplementedError(f"TorchScript knows no {' and no '.join(NOT_PYGS)}")
        return self

    def reset_parameters(self) -> None:
        for module in self.children():
            reset(module)

    @torch.jit.unused
    def _parts(self, x: Tensor, adjacency: Adjacency, own: Tensor) -> list[Tensor]:
        """What is aggregated, once for each aggregator and scaler: A * S tensors, ``[N, H, F]``."""
        parts = aggregate(self.aggregators, x, adjacency, threshold=self.threshold, own=own)
        return self._scale(parts, adjacency)

    @torch.jit.unused
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
