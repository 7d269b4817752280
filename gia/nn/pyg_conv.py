"""PyG's layers over graphs that are drawn by attention, and what they take of an edge."""

import inspect
import logging
from collections.abc import Callable
from functools import cache, partial
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch_geometric.nn import MessagePassing

from gia.graph import Adjacency, EdgeAdjacency
from gia.graph.combine import SumAdjacency
from gia.nn.conv.message_passing import WeightedMessagePassing
from gia.nn.mlp import ReLUMLP
from gia.typing import OptTensor

# What a layer takes of a graph: all of it as an operator, or its edges with a number, with several
# numbers, or with none.
Takes = Literal["adjacency", "edge_weight", "edge_attr", "edge_index"]
log = logging.getLogger(__name__)


@cache
def tell(text: str) -> None:
    """Say something once, however many copies and sizes of a model are built."""
    log.warning(text)


def takes(conv: nn.Module) -> Takes:
    """What a layer takes of a graph, told from the arguments of its ``forward``.

    Our layers, and others with ``takes_adjacency = True``, are called as ``conv(x, adjacency)``; a
    layer with an ``edge_index`` is given weights as ``edge_weight``, else as ``edge_attr`` (if it
    has an ``edge_dim``, that is set), else none.
    """
    names = inspect.signature(conv.forward).parameters
    if isinstance(conv, WeightedMessagePassing) or getattr(conv, "takes_adjacency", False):
        return "adjacency"
    if not isinstance(conv, MessagePassing) and "edge_index" not in names:
        return "adjacency"
    if "edge_weight" in names:
        return "edge_weight"
    if "edge_attr" in names and getattr(conv, "edge_dim", 0) is not None:
        return "edge_attr"
    return "edge_index"


def takes_given_attr(conv: nn.Module) -> bool:
    """Whether one of our layers takes the attributes of given edges, beside weights."""
    return getattr(conv, "takes_edge_attr", getattr(conv, "edge_dim", None) is not None)


def fitted(conv: nn.Module | Callable[..., nn.Module], width: int, heads: int) -> nn.Module:
    """A layer from its class, with the arguments that are not given yet filled in.

    ``in_channels`` and ``channels`` are the width, ``out_channels`` the width too, or its share of
    heads that are concatenated; ``edge_dim`` and ``dim`` are the number of the graph's heads, and
    the network ``nn`` of GIN and GINE has one hidden layer.

    Args:
        conv (nn.Module or callable): A layer, which is returned as it is, its class, or a
            ``functools.partial`` of it.
        width (int): Channels D of a node.
        heads (int): Heads H of the graph.

    Raises:
        ValueError: If heads that the layer concatenates do not divide the width, or it needs other
            arguments.
    """
    if isinstance(conv, nn.Module):
        return conv
    signature = inspect.signature(conv)  # of a partial: without what it binds by position
    known = conv.keywords if isinstance(conv, partial) else {}
    names = {name for name in signature.parameters if name not in known}
    own_heads = _value(signature, known, "heads", 1)
    joined = own_heads if _value(signature, known, "concat", True) else 1
    if width % joined:
        raise ValueError(
            f"{_name(conv)} has {joined} heads side by side, which must divide the width, {width}: "
            "choose another number of heads or concat=False"
        )
    fill = {
        "in_channels": width,
        "channels": width,
        "out_channels": width // joined,
        "edge_dim": heads,
        "dim": heads,
    }
    fill = {name: value for name, value in fill.items() if name in names}
    if "nn" in names and "in_channels" not in signature.parameters:  # it makes nodes of nodes
        fill["nn"] = ReLUMLP(width, width)
    try:
        return conv(**fill)
    except TypeError as error:
        raise ValueError(
            f"{_name(conv)} needs other arguments, such as +attention.conv.NAME=...: {error}"
        ) from error


def check_conv(conv: nn.Module, width: int | None, heads: int | None) -> None:
    """Try a layer on a small graph before anything is trained.

    Args:
        conv (nn.Module): One of PyG's layers.
        width (int, optional): Channels D of a node; unknown, it is not tried.
        heads (int, optional): Heads H of the graph, or numbers known of an edge.

    Raises:
        ValueError: If it needs more than edges and weights, looks beyond the edges, keeps its first
            graph, sends against the edges, or nodes of this width do not come out as they went in.
    """
    name = type(conv).__name__
    _check_arguments(conv)
    if getattr(conv, "cached", False):
        raise ValueError(f"{name} has cached=True: it would keep the first graph; leave it out")
    if getattr(conv, "flow", "source_to_target") != "source_to_target":
        raise ValueError(
            f"{name} has flow={conv.flow!r}, but attention's edges go from source to target: "
            "leave flow out"
        )
    if width is None or heads is None or _is_unreal(conv):
        return
    what = takes(conv)
    try:
        out = _try(conv, what, width, heads)
    except Exception as error:  # whatever a layer raises
        numbers = {"edge_weight": "1 weight", "edge_attr": f"{heads} numbers"}.get(what, "nothing")
        raise ValueError(
            f"{name} cannot take nodes of {width} channels and {numbers} for each edge: "
            f"in_channels must be {width}, edge_dim {heads} ({type(error).__name__}: {error})"
        ) from error
    if out.shape != (NODES, width):
        raise ValueError(
            f"{name} makes {list(out.shape[1:])} channels of {width}, but what it makes is added "
            f"to its input: give it out_channels={width}, shared by its heads"
        )


def is_causal(conv: nn.Module, width: int | None, edge_dim: int | None) -> bool:
    """Whether a node's output is the same whatever comes after it, tried on a small causal graph.

    Where it cannot be tried it counts as causal.
    """
    width = channels_of(conv) if width is None else width
    if width is None and not list(conv.parameters()):  # any will do
        width = NODES
    if width is None or _is_unreal(conv):
        return True
    what, edge_dim = takes(conv), width if edge_dim is None else edge_dim
    try:
        before = _try(conv, what, width, edge_dim)
        after = _try(conv, what, width, edge_dim, change_last=True)
    except Exception:  # not tried, but when it is called it will say what is wrong
        return True
    return torch.allclose(before[:-1], after[:-1], rtol=1e-4, atol=1e-6)


@torch.compiler.disable  # which edges there are depends on the data
def over_edges(conv: nn.Module, what: Takes, x: Tensor, graph: Adjacency) -> Tensor:
    """Let a layer of PyG's pass messages over the edges of an attention graph.

    Args:
        conv (nn.Module): ``conv(x, edge_index, ...)``, ``[N, D]`` to ``[N, D]``.
        what (str): What it takes: with ``edge_weight`` the mean of the heads, ``[E]``, with
            ``edge_attr`` the weights of all heads, ``[E, H]``, 0 for heads that have no such edge.
        x (Tensor): The nodes, ``[N, D]``.
        graph (Adjacency): The graph. Given edges that send messages of their own go on sending
            them, beside the layer.

    Raises:
        ValueError: If what comes out has another shape.
    """
    sent = None
    if isinstance(graph, SumAdjacency) and graph.has_messages:
        weight = graph.weight.unsqueeze(1).to(x.dtype)  # [H, 1]
        sent = (weight * graph.second.sum(x.unflatten(-1, (weight.size(0), -1)))).flatten(1)
        graph = graph.first
    edges = graph.to_edges().joined()
    weight = edges.edge_weight.to(x.dtype)
    weight = weight.unsqueeze(1) if weight.dim() == 1 else weight  # [E, H]
    if what == "edge_weight":
        out = conv(x, edges.edge_index, edge_weight=weight.mean(1))
    elif what == "edge_attr":
        out = conv(x, edges.edge_index, edge_attr=weight)
    else:
        out = conv(x, edges.edge_index)
    check_shape(conv, x, out)
    return out if sent is None else out + sent


def over_given(conv: nn.Module, what: Takes, x: Tensor, edge_index: Tensor, attr: OptTensor):
    """Let a layer pass messages over the data's edges, with their attributes where it takes them.

    Raises:
        ValueError: If it takes attributes and there are none, or what comes out has another shape.
    """
    if what != "edge_attr":
        out = conv(x, edge_index)
    elif attr is None:
        raise ValueError(f"{type(conv).__name__} takes edge_attr, but the data has none")
    else:
        out = conv(x, edge_index, edge_attr=attr.to(x.dtype))
    check_shape(conv, x, out)
    return out


def check_shape(conv: nn.Module, x: Tensor, out: Tensor) -> None:
    """Raise a ValueError if a layer does not give what can be added to its input."""
    if out.shape != x.shape:
        raise ValueError(
            f"{type(conv).__name__} makes {list(out.shape)} of {list(x.shape)}, but what it makes "
            "is added to its input: choose its out_channels"
        )


def channels_of(conv: nn.Module) -> int | None:
    """Channels of the nodes that a layer takes, where it can be told."""
    for part in (conv, *getattr(conv, "nn", nn.Identity()).modules()):
        for name in ("in_channels", "in_features"):
            channels = getattr(part, name, None)
            channels = channels[0] if isinstance(channels, tuple) else channels
            if isinstance(channels, int) and channels > 0:
                return channels
    return None


NODES = 4  # of the graph that layers are tried on


@torch.no_grad()
def _try(conv: nn.Module, what: Takes, width: int, edge_dim: int, *, change_last: bool = False):
    """The output of a layer for a small graph whose edges all come from before or from itself."""
    like = next(conv.parameters(), torch.zeros(1, device="cpu"))
    options = {"device": like.device, "dtype": like.dtype}
    x = torch.linspace(-1, 1, NODES * width, **options).view(NODES, width)
    target, source = torch.ones(NODES, NODES, device=like.device).tril().nonzero().T
    edge_index = torch.stack([source, target])
    numbers = edge_index.size(1) * edge_dim
    attr = torch.linspace(0.1, 0.9, numbers, **options).view(-1, edge_dim)
    if change_last:
        x[-1] += 1
        attr[target == NODES - 1] += 0.5
        edge_index, attr = edge_index[:, :-2], attr[:-2]
    training = conv.training
    conv.eval()
    try:
        if what == "adjacency":  # one of ours
            edge_index = EdgeAdjacency(edge_index, num_nodes=NODES)
            weights = {"edge_attr": attr} if takes_given_attr(conv) else {}
        else:
            numbers = {"edge_weight": attr.mean(1), "edge_attr": attr}
            weights = {what: numbers[what]} if what in numbers else {}
        return conv(x, edge_index, **weights)
    finally:
        conv.train(training)


def _check_arguments(conv: nn.Module) -> None:
    """Refuse layers that ask for what attention cannot tell, or that look beyond the edges."""
    name = type(conv).__name__
    parameters = inspect.signature(conv.forward).parameters
    if "batch" in parameters and not isinstance(conv, MessagePassing):
        raise ValueError(
            f"{name} looks beyond the edges, at all nodes of a graph: make it a block of a stack, "
            "as gia.nn.GPSBlock is"
        )
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    for key, parameter in list(parameters.items())[2:]:
        needed = parameter.default is inspect.Parameter.empty and parameter.kind not in kinds
        if needed and key not in ("edge_weight", "edge_attr"):
            raise ValueError(f"{name} needs {key}, which attention graphs do not have")


def _is_unreal(conv: nn.Module) -> bool:
    """Whether a layer holds no numbers: sizes are tried out on the meta device."""
    on_meta = torch.get_default_device().type == "meta"
    return on_meta or any(parameter.is_meta for parameter in conv.parameters())


def _value(signature: inspect.Signature, known: dict[str, Any], name: str, otherwise: Any) -> Any:
    """What an argument is, or will be by default."""
    if name in known:
        return known[name]
    parameter = signature.parameters.get(name)
    return otherwise if parameter is None else parameter.default


def _name(conv: Callable) -> str:
    return getattr(conv.func if isinstance(conv, partial) else conv, "__name__", str(conv))
