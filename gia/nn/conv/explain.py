"""What PyG's explainers ask of a layer: that a mask reaches the message of each edge."""

from torch import Tensor
from torch_geometric.nn import MessagePassing

from gia.graph import Adjacency, EdgeAdjacency


def explained(conv: MessagePassing, messages: Tensor, adjacency: Adjacency) -> Tensor:
    """Messages under the edge mask that an explainer has set on a layer, as in PyG's own layers.

    Args:
        conv (MessagePassing): The layer; without a mask its messages stay as they are.
        messages (Tensor): One for each edge, ``[E, H, d]``.
        adjacency (Adjacency): The graph that the layer was given.

    Raises:
        ValueError: If the graph is not made of given edges, or has others than the mask.
    """
    if not conv.explain:
        return messages
    if not isinstance(adjacency, EdgeAdjacency):
        raise ValueError(
            f"an edge mask needs given edges, but {type(adjacency).__name__} makes its own: "
            "explain a layer that takes an edge_index, or leave this one out by explain=False"
        )
    mask, loops = conv._edge_mask, conv._loop_mask
    if mask is not None and mask.size(0) != messages.size(0):
        # PyG's way to allow for self-loops that a model adds behind the edges it was given.
        with_loops = None if loops is None else int(loops.sum()) + adjacency.num_nodes
        if messages.size(0) != with_loops:
            raise ValueError(
                f"the edge mask has {mask.size(0)} entries, but the graph {messages.size(0)} edges"
            )
    by_edge = messages.flatten(-2).movedim(0, conv.node_dim)  # where PyG's layers have their edges
    by_edge = conv.explain_message(by_edge, dim_size=adjacency.num_nodes)
    return by_edge.movedim(conv.node_dim, 0).view_as(messages)
