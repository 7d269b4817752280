"""The attention of a trained model over the nodes of an item, whatever the item's edges."""

import copy
from collections.abc import Callable

import torch
from torch import nn
from torch_geometric.data import Data

from gia.data.schema import OF_EDGES
from gia.data.transforms.chain import chain

OF_EDGES_ENCODED = ("random_walk_pe", "laplacian_eigenvector_pe")


class ItemAttention:
    """Draws the graphs of a model over items.

    A model of sequences is given the symbols alone: an item may then have edges that the model has
    never heard of, such as contacts. Any other model is given the item as it is.

    Args:
        model (nn.Module): With a method ``graphs``, as :class:`gia.nn.Transformer` has it.
        of_sequences (bool): Whether the model knows sequences of symbols and no other edges than
            those between neighbours.
        bos (int, optional): The symbol that begins each sequence of a language model.
        steps (callable, optional): What the model's data are changed by before it reads them, such
            as encodings of a sequence's nodes.

    Raises:
        ValueError: If the model draws no graphs.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        of_sequences: bool = False,
        bos: int | None = None,
        steps: Callable[[Data], Data] | None = None,
    ):
        if not callable(getattr(model, "graphs", None)):
            raise ValueError(
                f"a {type(model).__name__} has no attention to compare: give the checkpoint of a "
                "single model whose blocks are attention, such as model=graph_transformer"
            )
        self.model, self.of_sequences, self.bos, self.steps = model, of_sequences, bos, steps

    def __call__(self, data: Data) -> list[Data | None]:
        """The graph of each layer over the N nodes of an item: ``edge_index [2, E]`` and
        ``edge_weight [E, H]``; None for a layer that draws none.

        Raises:
            ValueError: If the model reads symbols and the item has none.
        """
        seen = self._as_sequence(data) if self.of_sequences else copy.copy(data)
        device = next(self.model.parameters()).device
        before = seen.num_nodes - data.num_nodes
        return [
            None if graph is None else _without_first(graph.to_data_list()[0], before)
            for graph in self.model.graphs(seen.to(device))
        ]

    def reads_edges(self, data: Data) -> bool:
        """Whether what is drawn over an item is another graph without the item's edges, and
        without the encodings that were made of them."""
        without = copy.copy(data)
        for key in OF_EDGES_ENCODED:
            if data.get(key) is not None:
                without[key] = torch.zeros_like(data[key])
        for key in ("edge_index", *OF_EDGES):
            if data.get(key) is not None:
                without[key] = data[key][:, :0] if key == "edge_index" else data[key][:0]
        for own, other in zip(self(data), self(without), strict=True):
            if own is None:
                continue
            same = torch.equal(own.edge_index, other.edge_index)
            if not (same and torch.allclose(own.edge_weight, other.edge_weight, atol=1e-6)):
                return True
        return False

    def _as_sequence(self, data: Data) -> Data:
        if data.get("token") is None:
            raise ValueError(
                f"the model reads sequences of symbols, but {data.get('name')} has none: give data "
                "of sequences with edges, such as data=protein_structures"
            )
        token, place = data.token, torch.arange(data.num_nodes)
        if data.get("seq_pos") is not None:
            place = data.seq_pos - data.seq_pos.min()  # residues may be missing within
        edges = chain(len(token))
        edges = edges[:, (place[edges[0]] - place[edges[1]]).abs() == 1]
        if self.bos is not None:
            token, place = torch.cat([token.new_tensor([self.bos]), token]), place + 1
            place, edges = torch.cat([place.new_zeros(1), place]), edges + 1
        seen = Data(token=token, seq_pos=place, edge_index=edges, num_nodes=len(token))
        return seen if self.steps is None else self.steps(seen)


def _without_first(graph: Data, number: int) -> Data:
    """A graph without its first nodes and their edges."""
    kept = (graph.edge_index >= number).all(0)
    return Data(
        edge_index=graph.edge_index[:, kept] - number,
        edge_weight=graph.edge_weight[kept],
        num_nodes=graph.num_nodes - number,
    )
