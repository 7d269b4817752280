"""GIN message passing with learned edge weights."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch_geometric.nn import GINConv as PyGGINConv
from torch_geometric.typing import OptPairTensor, Size, SparseTensor

from gia.adjacency import Adjacency
from gia.conv.aggregate import aggregate, aggregator_name
from gia.conv.graph import as_adjacency, num_targets
from gia.typing import OptTensor


class GINConv(PyGGINConv):
    r"""The graph isomorphism operator on a weighted graph, for one or several heads.

    .. math::
        \mathbf{x}'_i = h_\Theta \Big( (1 + \epsilon) \, \mathbf{x}_i
        + \sum_{j \in \mathcal{N}(i)} A_{ij} \, \mathbf{x}_j \Big)

    From `"How Powerful are Graph Neural Networks?" <https://arxiv.org/abs/1810.00826>`_ and, with
    attention as A, `"Graph-Aware Isomorphic Attention" <https://arxiv.org/abs/2501.02393>`_, whose
    :math:`\epsilon` is PyG's plus 1.

    Args:
        nn (callable): The network :math:`h_\Theta`, ``[N, D]`` to ``[N, D']``.
        eps (float): Start of :math:`\epsilon`; -1 leaves out the node itself.
        train_eps (bool): Whether :math:`\epsilon` is trained.
        heads (int): Heads H, one :math:`\epsilon` each; they share the channels of x evenly.
        **kwargs: Of :class:`torch_geometric.nn.conv.MessagePassing`.

    Shapes:
        - **x:** ``[N, D]``, or a pair for bipartite graphs
        - **edge_index:** ``[2, E]``, a sparse ``adj_t``, or an :class:`~gia.adjacency.Adjacency`
        - **edge_weight:** ``[E]``, or ``[E, H]``
        - **output:** ``[N, D']``
    """

    def __init__(
        self,
        nn: Callable,
        eps: float = 0.0,
        train_eps: bool = False,
        *,
        heads: int = 1,
        **kwargs,
    ):
        if heads < 1:
            raise ValueError(f"heads must be at least 1, got {heads}")
        kwargs.setdefault("aggr", "add")
        self._aggregator = aggregator_name(kwargs["aggr"])
        super().__init__(nn, eps, train_eps, **kwargs)
        self.heads = heads
        if heads > 1:
            eps_of_heads = self.eps.data.expand(heads).clone()
            if train_eps:
                self.eps = torch.nn.Parameter(eps_of_heads)
            else:
                self.eps = eps_of_heads

    def forward(
        self,
        x: Tensor | OptPairTensor,
        edge_index: Adjacency | Tensor | SparseTensor,
        size: Size = None,
        *,
        edge_weight: OptTensor = None,
    ) -> Tensor:
        pair = (x, x) if isinstance(x, Tensor) else x
        adjacency = as_adjacency(
            edge_index,
            edge_weight,
            num_nodes=num_targets(edge_index, pair, size, self.node_dim),
            num_sources=pair[0].size(self.node_dim),
            flow=self.flow,
        )
        x_source = self._split(pair[0])
        x_target = x_source if pair[1] is pair[0] else self._split(pair[1])
        (out,) = aggregate([self._aggregator], x_source, adjacency)  # [N, H, d]
        if x_target is not None:
            out = _AddScaled.apply(out, (1 + self.eps).unsqueeze(1), x_target)
        return self.nn(out.flatten(-2).movedim(0, self.node_dim))

    def _split(self, x: OptTensor) -> OptTensor:
        """Nodes first, heads apart: ``[N, D]`` to ``[N, H, d]``."""
        if x is None:
            return None
        x = x.movedim(self.node_dim, 0)
        if x.size(-1) % self.heads:
            raise ValueError(f"{self.heads} heads cannot share {x.size(-1)} channels evenly")
        return x.unflatten(-1, (self.heads, -1))


class _AddScaled(torch.autograd.Function):
    """``out + scale * x`` with a scale for each head, in one pass over memory."""

    @staticmethod
    def forward(ctx, out: Tensor, scale: Tensor, x: Tensor) -> Tensor:
        ctx.save_for_backward(scale, x)
        ctx.dtype = out.dtype
        return torch.addcmul(out, scale.to(x.dtype), x)

    @staticmethod
    def backward(ctx, grad: Tensor):
        scale, x = ctx.saved_tensors
        grad_scale = grad_x = None
        if ctx.needs_input_grad[1]:
            grad_scale = (grad * x).sum_to_size(scale.shape).to(scale.dtype)
        if ctx.needs_input_grad[2]:
            grad_x = (grad * scale).to(x.dtype)
        return grad.to(ctx.dtype), grad_scale, grad_x
