"""PyG's way to pass messages over a weighted graph, and when a layer may take a faster one."""

from itertools import count
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor
from torch_geometric import EdgeIndex, Index
from torch_geometric.nn import MessagePassing
from torch_geometric.typing import Adj, OptTensor, Size, SparseTensor
from torch_geometric.utils import is_sparse

from gia.graph import Adjacency, EdgeAdjacency
from gia.graph.sorted_csr import MessageCSR
from gia.nn.conv.explain import check_mask
from gia.nn.conv.inputs import as_adjacency, written_out

METHODS = ("propagate", "message", "aggregate", "update", "message_and_aggregate")
HOOKS = tuple(
    f"_{step}_forward_{when}"
    for step in ("propagate", "message", "aggregate", "message_and_aggregate")
    for when in ("pre_hooks", "hooks")
)
# As it is in PyG, before its templates put faster ones into classes.
PROPAGATE = MessagePassing.propagate
NUMBER = count()


class Call(NamedTuple):
    """What a layer hands to PyG's ``propagate``.

    Attributes:
        edge_index (Tensor or SparseTensor): The graph, in the layer's own direction.
        edge_weight (Tensor, optional): For a message that asks for it, which then weighs by itself.
        adj_weight (Tensor, optional): For the aggregation, where the message does not ask.
        adj_head (Tensor, optional): The head that each edge belongs to, where heads have their own.
        size (pair of int): Nodes at the two ends of ``edge_index``.
        num_edges (int): Number of edges E.
    """

    edge_index: Adj
    edge_weight: OptTensor
    adj_weight: OptTensor
    adj_head: OptTensor
    size: Size
    num_edges: int


class WeightedMessagePassing(MessagePassing):
    """A PyG layer whose edges have weights, and which need not write its messages out.

    Subclasses of it that are made with ``layer=True`` know a faster way to do what their methods
    say. They take it while nobody looks: no hook, no explainer, and no class or object that has a
    method of its own in place of theirs. Otherwise they go through PyG's ``propagate``, where

    - a ``message`` that takes ``edge_weight`` weighs by itself, as PyG's do,
    - the weights of all others enter the aggregation, which takes ``adj_weight`` and ``adj_head``.
    """

    __jit_unused_properties__: ClassVar = ["needs_edges"]

    _layer: type
    _template: str
    _is_changed = False
    _has_own_propagate = False

    def __init_subclass__(cls, *, layer: bool = False, **kwargs):
        super().__init_subclass__(**kwargs)
        if layer:
            cls._layer = cls
        own = [name for name in METHODS if getattr(cls, name) is not getattr(cls._layer, name)]
        cls._is_changed, cls._has_own_propagate = bool(own), "propagate" in own
        cls._template = f"{cls.__module__}.{next(NUMBER)}"

    def _set_jittable_templates(self, raise_on_error: bool = False) -> None:
        # PyG names what it makes for a class after its module and name: two classes of one name,
        # as when a cell of a notebook is run again, would share the first one's.
        self.__dict__["__module__"] = self._template
        super()._set_jittable_templates(raise_on_error)
        del self.__dict__["__module__"]
        if not self._has_own_propagate:
            # PyG takes the template of a parent class for the original, and so a subclass would
            # know no explainer.
            type(self)._orig_propagate = PROPAGATE

    @torch.jit.unused
    def is_plain(self) -> bool:
        """Whether nobody can tell in which way messages are passed."""
        own = self.__dict__
        if self._is_changed or own["_explain"]:
            return False
        if any(own[hooks] for hooks in HOOKS):
            return False
        # Written out, so that a compiler can read it: METHODS, as an object may have its own.
        if "message" in own or "aggregate" in own or "update" in own:
            return False
        return not ("propagate" in own or "message_and_aggregate" in own)

    @torch.jit.unused
    def call(
        self,
        edge_index: Adjacency | Tensor | SparseTensor,
        edge_weight: OptTensor,
        num_nodes: int,
        num_sources: int,
    ) -> Call:
        """What to hand to ``propagate``.

        Raises:
            ValueError: As :func:`~gia.nn.conv.inputs.as_adjacency`; or if an edge mask does not fit
                the graph, or weights would be lost.
        """
        flipped = self.flow == "target_to_source"
        graph = edge_index
        adjacency = as_adjacency(
            graph, edge_weight, num_nodes=num_nodes, num_sources=num_sources, flow=self.flow
        )
        size = (num_nodes, num_sources) if flipped else (num_sources, num_nodes)
        if flipped and num_nodes != num_sources and not self.explain:
            raise ValueError(
                "PyG passes no messages over a bipartite graph with flow='target_to_source': flip "
                "edge_index and leave flow out"
            )
        if self.fuse and not self.explain and is_sparse(graph):
            number = adjacency.edge_index.size(1)
            return Call(_with_weight(graph, edge_weight), None, None, None, size, number)
        edges = written_out(adjacency)
        check_mask(self, adjacency, edges)
        edge_index, weight, head = edges.edge_index, edges.edge_weight, edges.head
        if self.decomposed_layers > 1 and (
            head is not None or (weight is not None and weight.dim() > 1)
        ):
            raise ValueError(
                "decomposed_layers takes a share of the channels at a time, which weights for "
                "single heads do not fit: use decomposed_layers=1"
            )
        if isinstance(graph, Adjacency) or is_sparse(graph):
            edge_index = edge_index.flip(0) if flipped else edge_index
        elif isinstance(graph, EdgeIndex) and tuple(graph.sparse_size()) != size:
            edge_index = graph.as_tensor()
        else:
            edge_index = graph  # an EdgeIndex with its order and its caches
        weighs = "edge_weight" in self.inspector.get_param_names("message")
        if weight is not None and not weighs:
            takes = self.inspector.get_param_names("aggregate")
            if "adj_weight" not in takes and "edge_weight" not in takes:
                raise ValueError(
                    f"{type(self).__name__}.aggregate takes no adj_weight, and its message takes "
                    "no edge_weight: the weights of the graph would be lost"
                )
        adj_weight = weight
        if weighs:  # a message that weighs is added up as it is
            adj_weight = None if head is None else torch.ones_like(weight)
        return Call(edge_index, weight, adj_weight, head, size, edges.edge_index.size(1))


def _with_weight(matrix: Tensor | SparseTensor, weight: OptTensor) -> Tensor | SparseTensor:
    """A sparse matrix that layers can multiply with, with weights if it had none."""
    if isinstance(matrix, SparseTensor):
        return matrix if weight is None else matrix.set_value(weight, layout="coo")
    return matrix.to_sparse_csr() if matrix.layout == torch.sparse_csc else matrix


def as_pair(conv: MessagePassing, x: tuple[Tensor, OptTensor]) -> tuple[Tensor, OptTensor] | Tensor:
    """Features of sources and targets as PyG's ``propagate`` reads them."""
    if conv.decomposed_layers > 1 and x[0] is x[1]:
        return x[0]  # it cuts no pairs into pieces
    # The one that explains takes the second ones for sources there, unlike the one that does not.
    return x[::-1] if conv.explain and conv.flow == "target_to_source" else x


def arriving(
    index: Tensor,
    ptr: OptTensor,
    num_nodes: int | None,
    weight: OptTensor,
    head: OptTensor,
    heads: int,
) -> EdgeAdjacency:
    """The graph from messages, each a source of its own, to where they arrive.

    Args:
        index, ptr, num_nodes: As in PyG's ``aggregate``: where each message arrives, and, if they
            come in the order of their targets, where those of each node begin.
        weight, head, heads: As in :class:`~gia.graph.EdgeAdjacency`.
    """
    if isinstance(index, Index):
        index = index.as_tensor()
    message = torch.arange(index.numel(), device=index.device, dtype=index.dtype)
    graph = EdgeAdjacency(
        torch.stack([message, index]),
        weight,
        num_nodes=num_nodes,
        head=head,
        num_heads=None if head is None else heads,
    )
    if ptr is not None and ptr.numel() == num_nodes + 1 and index.dtype == torch.int64:
        graph.use_pattern(index.numel(), 1, MessageCSR(index, ptr))
    return graph
