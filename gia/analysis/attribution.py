"""Which nodes a prediction comes from: hidden one at a time, or by the gradient along a path."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

import numpy as np
import torch
from torch import Tensor, nn
from torch_geometric.data import Batch, Data

# The most nodes of a batch of copies: what a laptop holds, and enough to keep it busy.
MOST_NODES = 8192

Predict = Callable[[Batch], Tensor]


def occlusion(
    predict: Predict,
    data: Data,
    encoders: Sequence[nn.Module],
    *,
    most_nodes: int = MOST_NODES,
) -> Tensor:
    r"""How a graph's prediction changes when one node's features are hidden:
    :math:`f(\mathbf{X}) - f(\mathbf{X}_{\setminus i})`.

    `"Visualizing and Understanding Convolutional Networks" <https://arxiv.org/abs/1311.2901>`_, for
    nodes in place of patches. Hidden is what the encoder says of a node (its vector becomes zero);
    the node, its edges and its place in the graph stay.

    Args:
        predict (callable): From a batch of B graphs to predictions ``[B, T]``, in eval mode.
        data (Data): One graph of N nodes.
        encoders (list of nn.Module): What gives the nodes' vectors on the way to the prediction,
            as :func:`node_encoders` finds them.
        most_nodes (int): Of a batch; a graph of more is a batch alone.

    Shapes:
        - **output:** ``[N, T]``
    """
    nodes, changed = data.num_nodes, []
    with torch.no_grad():
        whole = predict(_copies(data, 1))
        for places in torch.arange(nodes, device=whole.device).split(_fitting(most_nodes, nodes)):
            hidden = torch.arange(len(places), device=whole.device) * nodes + places
            with _replaced(encoders, lambda x, rows=hidden: x.index_fill(0, rows, 0)):
                changed.append(predict(_copies(data, len(places))))
    return whole - torch.cat(changed)


def integrated_gradients(
    predict: Predict,
    data: Data,
    encoders: Sequence[nn.Module],
    *,
    steps: int = 32,
    most_nodes: int = MOST_NODES,
) -> Tensor:
    r"""The gradient by each node's vector along the straight way from zero to what it is:
    :math:`\mathbf{x}_i \cdot \int_0^1 \nabla_{\mathbf{x}_i} f(\alpha \mathbf{X}) \, d\alpha`.

    `"Axiomatic Attribution for Deep Networks" <https://arxiv.org/abs/1703.01365>`_, on the vectors
    that the encoder gives. Over the nodes it sums to the prediction less that of a graph
    whose nodes are all hidden, as far as the steps see the curve.

    Args:
        predict, data, encoders, most_nodes: As of :func:`occlusion`.
        steps (int): Points of the integral, Gauss and Legendre's.

    Shapes:
        - **output:** ``[N, T]``
    """
    points, weights = (torch.tensor(side) for side in np.polynomial.legendre.leggauss(steps))
    number = _fitting(most_nodes, data.num_nodes)
    parts = zip(((points + 1) / 2).split(number), (weights / 2).split(number), strict=True)
    return sum(_along(predict, data, encoders, alpha, weight) for alpha, weight in parts)


def _along(
    predict: Predict, data: Data, encoders: Sequence[nn.Module], alpha: Tensor, weight: Tensor
) -> Tensor:
    """A few points of the integral, ``[N, T]``; a copy of the graph stands for each."""
    vectors, scaled = [], []

    def scale(x: Tensor) -> Tensor:
        vectors.append(x.detach())
        scaled.append((x.detach() * _of_nodes(alpha, x)).requires_grad_())
        return scaled[-1]

    def _of_nodes(values: Tensor, x: Tensor) -> Tensor:
        return values.to(x).repeat_interleave(data.num_nodes).unsqueeze(1)

    with torch.enable_grad(), _replaced(encoders, scale):
        output = predict(_copies(data, len(alpha))).sum(0)
    columns = []
    for target, value in enumerate(output):
        more = target + 1 < len(output)
        gradients = torch.autograd.grad(value, scaled, retain_graph=more)
        products = (
            _of_nodes(weight, x) * x * gradient
            for x, gradient in zip(vectors, gradients, strict=True)
        )
        columns.append(sum(product.sum(1) for product in products))
    return torch.stack(columns, 1).view(len(alpha), data.num_nodes, -1).sum(0)


class OfEncodings(nn.Module):
    """A model as a function of its nodes' vectors and edges: what PyG's explainers call.

    ``Explainer(OfEncodings(model), ...)(x, edge_index, data=data)``, where x is what
    ``model.encoder(data)`` says, masks the vectors of nodes.

    Args:
        model (nn.Module): ``model(data)``, with an ``encoder``.

    Shapes:
        - **x:** ``[N, D]``
        - **output:** that of the model
    """

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model
        self.training = model.training  # which an explainer restores when it is done

    def forward(self, x: Tensor, edge_index: Tensor, data: Data) -> Tensor:
        with _replaced([self.model.encoder], lambda _: x):
            return self.model(data)


def node_encoders(model: nn.Module) -> list[nn.Module]:
    """The ``encoder`` of a model, or those of the models that it is made of.

    Raises:
        ValueError: If it has none.
    """
    found, inner = [], set()
    for module in model.modules():
        encoder = getattr(module, "encoder", None)
        if module not in inner and isinstance(encoder, nn.Module):
            found.append(encoder)
            inner.update(module.modules())
    if not found:
        raise ValueError(
            f"{type(model).__name__} has no module encoder, in whose output, [N, D], nodes could "
            "be hidden: give your model one to have it explained"
        )
    return found


def _copies(data: Data, number: int) -> Batch:
    batch = Batch.from_data_list([data] * number)
    batch.num_nodes_per_graph = [data.num_nodes] * number
    return batch


def _fitting(most_nodes: int, nodes: int) -> int:
    return max(most_nodes // max(nodes, 1), 1)


@contextmanager
def _replaced(modules: Sequence[nn.Module], change: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """Let modules give what is made of their outputs."""
    with ExitStack() as hooks:
        for module in modules:
            hooks.enter_context(
                module.register_forward_hook(lambda _module, _inputs, output: change(output))
            )
        yield
