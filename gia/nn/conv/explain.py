"""What PyG's explainers ask of a layer: that a mask fits the message of each edge."""

from torch_geometric.nn import MessagePassing

from gia.graph import Adjacency, EdgeAdjacency


def check_mask(conv: MessagePassing, adjacency: Adjacency, edges: EdgeAdjacency) -> None:
    """Make sure that the edge mask which an explainer has set on a layer is one of its graph.

    Args:
        conv (MessagePassing): The layer; without an explainer there is nothing to check.
        adjacency (Adjacency): The graph that the layer was given.
        edges (EdgeAdjacency): The same graph written out.

    Raises:
        ValueError: If the graph is not made of edges of the input, or has others than the mask.
    """
    if not conv.explain:
        return
    if not isinstance(adjacency, EdgeAdjacency):
        raise ValueError(
            f"an edge mask needs edges of the input, but {type(adjacency).__name__} makes its own: "
            "explain a layer that takes an edge_index, or leave this one out by explain=False"
        )
    mask, loops, number = conv._edge_mask, conv._loop_mask, edges.edge_index.size(1)
    if mask is None or mask.size(0) == number:
        return
    # PyG's way to allow for self-loops that a model adds behind the edges it was given.
    if loops is None or number != int(loops.sum()) + adjacency.num_nodes:
        raise ValueError(f"the edge mask has {mask.size(0)} entries, but the graph {number} edges")
