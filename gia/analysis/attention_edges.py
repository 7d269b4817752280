"""A sequence with its attention edges, as any other PyG graph."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch_geometric.data import Batch, Data
from torch_geometric.transforms import BaseTransform

from gia.nn import Transformer


class AttentionEdges(BaseTransform):
    """Gives a sequence the edges that a trained model's attention draws over its tokens.

    What comes out has ``edge_index [2, E]`` and ``edge_weight`` and goes wherever PyG's graphs go:
    loaders, convolutions, :func:`torch_geometric.utils.to_networkx`.

    Args:
        model (Transformer): The model.
        layer (int): Which layer's graph, counted from 0, or from the end if negative.
        head (int or str, optional): The weights of one head, or ``"mean"``: ``[E]``; left out,
            those of all, ``[E, H]``.
        min_weight (float): Edges remain whose weight (the largest over heads) is above it; at 0
            those go that no chosen head has.
        symbols (list of str, optional): Names of the tokens, as :attr:`gia.data.Tokenizer.symbols`;
            they come out as ``token_label``, a list of L names.

    Raises:
        ValueError: If the model has no such layer or head.
    """

    def __init__(
        self,
        model: Transformer,
        *,
        layer: int = -1,
        head: int | Literal["mean"] | None = None,
        min_weight: float = 0.0,
        symbols: Sequence[str] | None = None,
    ):
        depth = len(model.blocks)
        if not -depth <= layer < depth:
            raise ValueError(f"the model has layers 0 to {depth - 1}, got layer={layer}")
        if isinstance(head, str) and head != "mean":
            raise ValueError(f"head must be a number, 'mean' or None, got {head!r}")
        self.model, self.layer, self.head = model, layer, head
        self.min_weight, self.symbols = min_weight, symbols

    def forward(self, data: Data) -> Data:
        if isinstance(data, Batch):
            raise ValueError("AttentionEdges takes one sequence: apply it before batching")
        device = next(self.model.parameters()).device
        graph = self.model.graphs(data.clone().to(device))[self.layer]
        if graph is None:
            raise ValueError(
                f"layer {self.layer} draws no graph: it is a "
                f"{type(self.model.blocks[self.layer]).__name__}"
            )
        graph = graph.to_data_list()[0].to(data.token.device)
        weight = self._of_head(graph.edge_weight)
        strength = weight.abs() if weight.dim() == 1 else weight.abs().amax(1)
        keep = strength > self.min_weight
        graph.edge_index, graph.edge_weight = graph.edge_index[:, keep], weight[keep]
        if self.symbols is not None:
            graph.token_label = [self.symbols[token] for token in graph.token.tolist()]
        return graph

    def _of_head(self, weight: torch.Tensor) -> torch.Tensor:
        if self.head is None:
            return weight
        if self.head == "mean":
            return weight.mean(1)
        heads = weight.size(1)
        if not -heads <= self.head < heads:
            raise ValueError(f"the layer has heads 0 to {heads - 1}, got head={self.head}")
        return weight[:, self.head]

    def __repr__(self) -> str:
        return f"{type(self).__name__}(layer={self.layer}, head={self.head})"
