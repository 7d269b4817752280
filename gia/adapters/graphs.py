"""The graphs that an adapter reads, as PyG has graphs."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.data import Batch, Data

from gia.adapters.decoder import DEFAULT, decoder
from gia.graph import Adjacency
from gia.typing import OptTensor


@torch.no_grad()
def graphs(
    model: nn.Module,
    input_ids: Tensor,
    name: str = DEFAULT,
    *,
    attention_mask: OptTensor = None,
    **inputs: Any,
) -> list[Batch]:
    """The graph over the tokens that an adapter reads in each of its layers.

    Args:
        model (nn.Module): A model with adapters.
        input_ids (Tensor): The tokens.
        name (str): Which adapter; it has to be in use.
        attention_mask (Tensor, optional): 0 where there is padding, which has no edges.
        inputs: What else the model takes.

    Returns:
        list of Batch: One for each layer of the adapter, with a graph for each sequence:
        ``token [L]``, ``edge_index [2, E]`` from source to target, ``edge_weight``, ``[E]``, or
        ``[E, H]`` where heads have graphs of their own, and the number of the ``layer``.

    Shapes:
        - **input_ids**, **attention_mask:** ``[B, L]``

    Raises:
        KeyError: If there is no such adapter.
        ValueError: If it is not in use, or reads no graph.
    """
    seen: dict[int, Adjacency] = {}
    parts = decoder(model).adapter(name)
    if getattr(next(iter(parts.values())).config, "edges", "attention") is None:
        raise ValueError(f"the adapter {name!r} reads no graph: it has edges=None")
    hooks = [
        part.register_forward_pre_hook(partial(_look, seen, layer)) for layer, part in parts.items()
    ]
    try:
        model(input_ids=input_ids, attention_mask=attention_mask, use_cache=False, **inputs)
    finally:
        for hook in hooks:
            hook.remove()
    if not seen:
        raise ValueError(
            f"the adapter {name!r} is not in use: gia.adapters.set(model, {name!r}) chooses it, "
            "and gia.adapters.enable(model) where adapters are disabled"
        )
    return [_batch(seen[layer], layer, input_ids, attention_mask) for layer in sorted(seen)]


def by_layer(found: Sequence[Batch]) -> list[Batch | None]:
    """The graphs of an adapter in the places of its layers, of which it need not be in all."""
    placed = {int(graph.get_example(0).layer): graph for graph in found}
    return [placed.get(layer) for layer in range(max(placed, default=-1) + 1)]


def _look(seen: dict[int, Adjacency], layer: int, part: nn.Module, args: tuple) -> None:
    seen[layer] = args[1]


def _batch(adjacency: Adjacency, layer: int, tokens: Tensor, mask: OptTensor) -> Batch:
    length, edges = tokens.size(1), adjacency.to_edges()
    index, weight = edges.edge_index.to(tokens.device), edges.edge_weight.to(tokens.device)
    if mask is not None:  # padding after a sequence reads it, which nobody sees
        kept = mask.flatten()[index[1]] != 0
        index, weight = index[:, kept], weight[kept]
    sequence = index[1] // length
    return Batch.from_data_list(
        [
            Data(
                token=token,
                layer=layer,
                edge_index=index[:, sequence == number] - number * length,
                edge_weight=weight[sequence == number],
                num_nodes=length,
            )
            for number, token in enumerate(tokens)
        ]
    )
