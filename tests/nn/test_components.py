"""Models of several molecules a row: laws 5 and 6 hold, and which part is which counts."""

import csv
import random

import pytest
import torch
from graph_data import MODELS, graph, make, settled
from torch_geometric.data import Batch, Data

from gia.attention import FullScope, HopBias, InputGraph
from gia.data import DataModule, Molecules, join_components
from gia.nn import NodeEncoder, PlainConvBlock

ENCODINGS = {"random_walk_pe": 3}
PARTS = ENCODINGS | {"component": 2}
SOLUBILITY = "measured log solubility in mols per litre"


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
        # What adds up nodes before all else, or atoms without bonds as they are, cannot tell.
        adds_up = getattr(model, "pools_first", False) or (
            isinstance(model.blocks[0], PlainConvBlock) and not data.num_edges
        )
        if not adds_up:
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


def differences(shared_data, path):
    """Pairs of ESOL's molecules with the difference of their solubilities; no molecule is in two
    parts."""
    draw = random.Random(0)
    with (shared_data / "molecules" / "delaney-processed.csv").open() as file:
        known = [(row["smiles"], float(row[SOLUBILITY])) for row in csv.DictReader(file)]
    draw.shuffle(known)
    parts = {"train": known[:900], "val": known[900:1000], "test": known[1000:]}
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["first", "second", "y", "part"])
        for part, own in parts.items():
            for _ in range(400 if part == "train" else 100):
                (first, a), (second, b) = draw.sample(own, 2)
                table.writerow([first, second, a - b, part])


def trained(path, columns):
    """The error of a small model on new pairs, in standard deviations of the training."""
    torch.manual_seed(0)
    dataset = Molecules(path, columns, "y")
    data = DataModule(dataset, split="given", split_column="part", rwse=4, batch_size=16)
    inputs = data.inputs() | {"out_channels": 1}
    model = make("model=graph_transformer", **inputs)
    (mean,), (std,) = inputs["target_mean"], inputs["target_std"]
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for _ in range(10):
        for batch in data.train_dataloader():
            loss = (model(batch) - (batch.y - mean) / std).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    model.eval()
    with torch.no_grad():
        errors = [model(batch) - (batch.y - mean) / std for batch in data.test_dataloader()]
    return float(torch.cat(errors).square().mean().sqrt())


@pytest.mark.slow
def test_a_difference_takes_both_molecules(shared_data, tmp_path):
    differences(shared_data, tmp_path / "pairs.csv")
    both = trained(tmp_path / "pairs.csv", ["first", "second"])
    alone = trained(tmp_path / "pairs.csv", "first")
    assert both < 0.8 * alone
