"""What PyG users hand to a layer, turned into an adjacency."""

import torch
from torch import Tensor
from torch_geometric import EdgeIndex
from torch_geometric.typing import SparseTensor
from torch_geometric.utils import is_torch_sparse_tensor, to_edge_index

from gia.graph import Adjacency, EdgeAdjacency
from gia.graph.sorted_csr import edge_index_csr
from gia.typing import OptTensor


def written_out(adjacency: Adjacency) -> EdgeAdjacency:
    """The edges of a graph, for a layer that makes a message for each of them.

    Raises:
        ValueError: If some of them send messages of their own already.
    """
    if adjacency.has_messages:
        raise ValueError(
            "input edges send messages of their own (AddInputGraph with edge_dim), and this layer "
            "makes its own for each edge: use given=added, or a layer that sends its nodes' "
            "features as they are"
        )
    return adjacency.to_edges()


def as_adjacency(
    edges: Adjacency | Tensor | SparseTensor,
    edge_weight: OptTensor = None,
    *,
    num_nodes: int,
    num_sources: int | None = None,
    flow: str = "source_to_target",
) -> Adjacency:
    """Turn a layer's second argument into an adjacency.

    Args:
        edges: An adjacency, taken as it is; PyG's ``edge_index [2, E]`` (an ``EdgeIndex`` too); or
            a transposed sparse matrix ``adj_t [N, N_source]``, a ``SparseTensor`` or one of torch's
            sparse layouts, whose values (if it has any) are the weights.
        edge_weight (Tensor, optional): Weights for an ``edge_index``, ``[E]`` or ``[E, H]``.
        num_nodes (int): Number of target nodes N.
        num_sources (int, optional): Number of source nodes; left out, it is N.
        flow (str): PyG's direction of messages along ``edge_index``.

    Raises:
        ValueError: If an index is out of range (looked for on the CPU only: on a GPU the host would
            have to wait), a matrix has another size, weights are given twice, or the flow does not
            fit a sparse matrix.
        TypeError: If ``edges`` is none of these.
    """
    if isinstance(edges, Adjacency):
        if edge_weight is not None:
            raise ValueError("an adjacency has its own weights: leave out edge_weight")
        return edges
    size = (num_nodes, num_nodes if num_sources is None else num_sources)
    if isinstance(edges, SparseTensor):
        _check_matrix(edges.sizes()[:2], size, flow)
        target, source, value = edges.coo()
        return _from_matrix(source, target, value, edge_weight, num_nodes)
    if not isinstance(edges, Tensor):
        raise TypeError(
            "the graph must be an edge_index, a sparse adjacency or a gia Adjacency, "
            f"got {type(edges).__name__}"
        )
    if is_torch_sparse_tensor(edges):
        _check_matrix(list(edges.shape[:2]), size, flow)
        # PyG reads a sparse matrix as adj_t: its rows are targets.
        (target, source), value = to_edge_index(edges)
        return _from_matrix(source, target, value, edge_weight, num_nodes)
    edge_index = edges.as_tensor() if isinstance(edges, EdgeIndex) else edges
    if flow == "target_to_source":
        edge_index = edge_index.flip(0)
    graph = EdgeAdjacency(edge_index, edge_weight, num_nodes=num_nodes)
    _check_range(graph.edge_index, size)
    if isinstance(edges, EdgeIndex) and not torch.compiler.is_compiling():
        matrix = edge_index_csr(edges, flow, size)
        if matrix is not None:  # in its order, with what its caches have
            graph.use_pattern(size[1], 1, matrix)
    return graph


def _check_range(edge_index: Tensor, size: tuple[int, int]) -> None:
    if not edge_index.is_cpu or torch.compiler.is_compiling() or edge_index.numel() == 0:
        return
    for indices, end, nodes in zip(edge_index, ("source", "target"), reversed(size), strict=True):
        for value in torch.stack(indices.aminmax()).tolist():
            if not 0 <= value < nodes:
                raise ValueError(
                    f"edge_index holds the {end} {value}, but there are {nodes} {end} nodes: "
                    f"indices run from 0 to {nodes - 1}"
                )


def _check_matrix(shape: list[int], size: tuple[int, int], flow: str) -> None:
    if flow == "target_to_source":
        raise ValueError(
            "flow='target_to_source' has no meaning for a sparse matrix: pass its transpose"
        )
    if tuple(shape) != size:
        raise ValueError(
            f"the sparse matrix has shape {list(shape)}, but there are {size[0]} target and "
            f"{size[1]} source nodes: rows are targets, as in PyG's adj_t"
        )


def _from_matrix(
    source: Tensor, target: Tensor, value: OptTensor, edge_weight: OptTensor, num_nodes: int
) -> EdgeAdjacency:
    if value is not None and edge_weight is not None:
        raise ValueError("the sparse matrix has values of its own: leave out edge_weight")
    weight = edge_weight if value is None else value
    return EdgeAdjacency(torch.stack([source, target]), weight, num_nodes=num_nodes)


def num_targets(
    edges: object, x: tuple[Tensor, OptTensor], size: object, node_dim: int, flow: str
) -> int:
    """Number of target nodes of a bipartite call, found where PyG's layers look for it.

    Args:
        edges: The layer's second argument.
        x (tuple): Features of the sources and of the targets; the latter may be missing.
        size (tuple, optional): Numbers of nodes at the two ends of ``edge_index``, each may be
            missing.
        node_dim (int): The dimension of x that runs over the nodes.
        flow (str): PyG's direction of messages along ``edge_index``.

    Raises:
        ValueError: If ``size`` contradicts x, or is a tensor.
    """
    flipped = flow == "target_to_source"
    found = None
    if x[1] is not None:
        found = x[1].size(node_dim)
    elif isinstance(edges, Adjacency):
        found = edges.num_nodes
    elif isinstance(edges, EdgeIndex):
        found = edges.sparse_size(0 if flipped else 1)
    elif isinstance(edges, SparseTensor) or is_torch_sparse_tensor(edges):
        found = edges.size(0)
    if isinstance(size, Tensor):  # the place of weights in many of PyG's layers
        raise ValueError("size must be two numbers, got a tensor: pass weights as edge_weight=...")
    sources, targets = (None, None) if size is None else (reversed(size) if flipped else size)
    if sources not in (None, x[0].size(node_dim)):
        raise ValueError(f"size says {sources} source nodes, but there are {x[0].size(node_dim)}")
    if None not in (found, targets) and found != targets:
        raise ValueError(f"size says {targets} target nodes, but there are {found}")
    for number in (found, targets):
        if number is not None:
            return number
    return x[0].size(node_dim)


def take_edge_attr(
    edges: Adjacency | Tensor | SparseTensor,
    edge_attr: OptTensor,
    edge_dim: int | None,
    *,
    needed: bool,
) -> tuple[Adjacency | Tensor | SparseTensor, OptTensor]:
    """The graph and the edge attributes of a call, the latter exactly where the layer takes them.

    Where it is given none, they are a ``SparseTensor``'s values, as in PyG.

    Args:
        edges, edge_attr: The graph and the attributes of the call.
        edge_dim (int, optional): Numbers of an edge, -1: those that come first, None: any.
        needed (bool): Whether the layer takes attributes.

    Raises:
        ValueError: If there are attributes that the layer does not take, none that it needs, or
            others than one row of ``edge_dim`` attributes for each edge.
    """
    if not needed:
        if edge_attr is not None:
            raise ValueError(
                f"edge_attr of shape {list(edge_attr.shape)} needs a layer with edge_dim; weights "
                "are passed as edge_weight=..."
            )
        return edges, None
    if edge_attr is None and isinstance(edges, SparseTensor):
        edges, edge_attr = edges.set_value(None), edges.storage.value()
    if edge_attr is None:
        raise ValueError(f"a layer with edge_dim={edge_dim} needs edge_attr [E, {edge_dim}]")
    return edges, edge_attr


def check_edge_attr(edge_attr: Tensor, num_edges: int, edge_dim: int) -> None:
    """Make sure that there is one row of attributes for each edge.

    Raises:
        ValueError: If there is not.
    """
    if edge_attr.dim() == 2 and edge_dim < 0:  # a lazy encoder takes what comes first
        edge_dim = edge_attr.size(1)
    if edge_attr.shape != (num_edges, edge_dim):
        raise ValueError(
            f"edge_attr must have shape [E, edge_dim] = [{num_edges}, {edge_dim}], "
            f"got {list(edge_attr.shape)}: a layer with as large an edge_dim takes others"
        )
