"""Models of several molecules a row: laws 5 and 6 hold, and which part is which counts."""

import pytest
import torch
from graph_data import MODELS, graph, make, settled
from torch_geometric.data import Batch, Data

from gia.attention import FullScope, HopBias, InputGraph
from gia.data import join_components
from gia.nn import NodeEncoder

ENCODINGS = {"random_walk_pe": 3}
PARTS = ENCODINGS | {"component": 2}


def pairs() -> list[Data]:
    """Pairs of random graphs, some parts of a single node or without edges."""
    sizes = [((6, 9), (1, 0)), ((4, 0), (9, 14)), ((1, 0), (1, 0)), ((6, 5), (6, 5))]
    return [join_components([graph(*size, encodings=ENCODINGS) for size in pair]) for pair in sizes]


def swapped(data: Data) -> Data:
    """The same nodes, the parts under each other's numbers."""
    data = data.clone()
    data.component = 1 - data.component
    return data


@pytest.fixture(params=[f"model={name}" for name in MODELS])
def model(request, float64):
    made = make(request.param, encodings=PARTS)
    return settled(made, [*pairs(), *map(swapped, pairs())])


@torch.no_grad()
def test_a_prediction_depends_on_neither_batch_nor_order_of_nodes_but_on_the_parts(model):
    graphs = pairs()
    together = model(Batch.from_data_list(graphs))
    for data, mine in zip(graphs, together, strict=True):
        torch.testing.assert_close(model(data)[0], mine)
        order = torch.randperm(data.num_nodes)
        moved = data.clone()
        for key in ("x", "random_walk_pe", "component"):
            moved[key] = data[key][order]
        moved.edge_index = order.argsort()[data.edge_index]
        torch.testing.assert_close(model(moved)[0], mine)
        if not getattr(model, "pools_first", False):  # which adds up nodes before all else
            assert (model(swapped(data))[0] - mine).abs().max() > 1e-4


def test_one_molecule_costs_nothing():
    names = make("model=graph_transformer", encodings=ENCODINGS).state_dict().keys()
    assert not [name for name in names if "component" in name]
    several = make("model=graph_transformer", encodings=PARTS).state_dict().keys()
    assert several - names == {"encoder.encodings.component.weight"}


def test_data_without_parts_is_named():
    encoder = NodeEncoder(8, categories=[5, 3], encodings={"component": 2})
    with pytest.raises(ValueError, match="tells 2 components of a graph apart, the data has no"):
        encoder(graph(4, 3))


def test_no_number_of_hops_joins_two_parts():
    data = pairs()[1]
    scope = FullScope(torch.tensor([0, data.num_nodes]), given=InputGraph(data.edge_index))
    every = torch.cartesian_prod(*[torch.arange(data.num_nodes)] * 2).T.contiguous()
    hops = HopBias(1, max_hops=4)(scope).hops.of_edges(every)
    apart = data.component[every[0]] != data.component[every[1]]
    assert (hops[apart] == 5).all()  # as what is too far
    assert (hops[every[0] == every[1]] == 0).all()
