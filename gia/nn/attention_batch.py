"""Attention graphs as PyG data."""

import torch
from torch_geometric.data import Batch, Data

from gia.graph import EdgeAdjacency


def attention_batch(data: Data, edges: EdgeAdjacency) -> Batch:
    """Give each graph of a batch its attention edges.

    Args:
        data (Data or Batch): The nodes.
        edges (EdgeAdjacency): Edges over the whole batch, none of which joins two graphs.

    Returns:
        A ``Batch`` whose graphs carry ``edge_index [2, E]`` and ``edge_weight [E, H]`` besides what
        they had.
    """
    graphs = data.to_data_list() if isinstance(data, Batch) else [data]
    sizes = torch.tensor([graph.num_nodes for graph in graphs], device=edges.edge_index.device)
    starts = sizes.cumsum(0) - sizes
    graph_of_node = torch.arange(len(graphs), device=sizes.device).repeat_interleave(sizes)
    graph_of_edge = graph_of_node[edges.edge_index[1]]
    with_edges = []
    for number, graph in enumerate(graphs):
        mine = graph_of_edge == number
        graph = graph.clone()
        for key in graph.to_dict():
            if "edge" in key:  # of edges that it had before
                del graph[key]
        graph.edge_index = edges.edge_index[:, mine] - starts[number]
        graph.edge_weight = edges.edge_weight[mine]
        with_edges.append(graph)
    return Batch.from_data_list(with_edges)
