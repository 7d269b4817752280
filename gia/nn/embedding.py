"""What a model has made of graphs after any of its layers, as vectors for other uses."""

from collections.abc import Callable
from typing import Any, get_args

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle
from torch_geometric.data import Data
from torch_geometric.nn import global_mean_pool

from gia.nn.head import Level, Readout

PARTS = ("encoder", "blocks", "norm", "head")  # what vectors pass through, in a model of gia's


@torch.no_grad()
def embed(model: nn.Module, data: Data, *, layer: int = -1, level: Level = "graph") -> Tensor:
    """The vectors of graphs or of their nodes after one layer of a model.

    Layers are counted as the members of a list: 0 is what the encoder makes of a node, l what the
    l-th block leaves, and the last one, -1, what the head reads. A graph's vector is what the
    model's own pool makes of its nodes; where it has none, their mean.

    Args:
        model (nn.Module): A model of :mod:`gia.nn`, in whatever mode: it answers in eval mode.
        data (Data or Batch): As for the model's ``forward``, and where the model is.
        layer (int): Which layer.
        level (str): ``"graph"`` or ``"node"``, what has a vector.

    Shapes:
        - **output:** ``[B, D]`` for B graphs, or ``[N, D]`` for nodes

    Raises:
        ValueError: If there is no such layer or level, or the model has no layers of this kind.
    """
    check_embeds(model, layer, level)
    kept: list[Tensor] = []
    watched = _watch(model, layer, level, kept.append)
    was_training = model.training
    model.eval()
    try:
        model(data)
    finally:
        model.train(was_training)
        watched.remove()
    (x,) = kept
    if level == "node" or _holds_graphs(model, layer):
        return x
    if isinstance(model.head, Readout) and model.head.pool is not None:
        return model.head.pooled(x, data)
    batch = data.get("batch")
    return global_mean_pool(x, batch, None if batch is None else data.ptr.numel() - 1)


def check_embeds(model: nn.Module, layer: Any, level: Any) -> None:
    """See that a model has such vectors, before any data is read.

    Raises:
        ValueError: As :func:`embed`.
    """
    if level not in get_args(Level):
        raise ValueError(f"level must be graph or node, got {level!r}")
    name = type(model).__name__
    if not all(hasattr(model, part) for part in PARTS):
        raise ValueError(
            f"{name} has no layers to look into: embeddings are of models with an encoder, blocks, "
            "a norm and a head, such as GraphTransformer and LanguageModel; of an ensemble take a "
            "member, members/0/checkpoints/best.ckpt of its run, of a blend its best.ckpt"
        )
    layers = len(model.blocks) + 2
    if isinstance(layer, bool) or not isinstance(layer, int) or not -layers <= layer < layers:
        raise ValueError(
            f"layer must be a number from 0, the encoder, to {layers - 1}, what the head of this "
            f"model of {layers - 2} blocks reads (also -1), got {layer!r}"
        )
    if level == "node" and getattr(model, "pools_first", False):
        raise ValueError(
            f"a {name} pools the nodes before its first block, so that there are no vectors of "
            "nodes: give level=graph"
        )


def _watch(
    model: nn.Module, layer: int, level: Level, keep: Callable[[Tensor], None]
) -> RemovableHandle:
    """Keep what a layer leaves, whenever the model is called: it is what the next one reads."""
    readers = [*model.blocks, model.norm]
    if isinstance(model.head, Readout) and level == "graph":
        readers.append(model.head.head)  # which reads pooled nodes
    number = layer % (len(model.blocks) + 2)
    if number < len(readers):
        return readers[number].register_forward_pre_hook(lambda _, given: keep(given[0]))
    return model.norm.register_forward_hook(lambda _, given, made: keep(made))


def _holds_graphs(model: nn.Module, layer: int) -> bool:
    """Whether what a layer leaves are graphs already."""
    if getattr(model, "pools_first", False):
        return True
    pools = isinstance(model.head, Readout) and model.head.pool is not None
    return pools and layer % (len(model.blocks) + 2) == len(model.blocks) + 1
