"""When transforms are called, on what, and what they draw from."""

import importlib
import random
import sys

import numpy as np
import pytest
import torch
from torch_geometric.data import Data, Dataset
from torch_geometric.transforms import AddRandomWalkPE, BaseTransform

from gia.data import DataModule, Molecules
from gia.data.transforms import described


class Fresh(Dataset):
    """Paths of three nodes, made whenever they are asked for."""

    def len(self):
        return 40

    def get(self, idx):
        return path(idx)


class Add(BaseTransform):
    """Works in place."""

    def forward(self, data):
        data.x += 1
        return data


class Complete(BaseTransform):
    """Joins all nodes."""

    def forward(self, data):
        data.edge_index = (1 - torch.eye(data.num_nodes)).nonzero().T
        data.edge_attr = None
        return data


class Noise(BaseTransform):
    def forward(self, data):
        drawn = [random.random(), float(np.random.rand()), float(torch.rand(()))]
        data.drawn = torch.tensor([drawn])
        return data


def path(target):
    edges = torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]])
    return Data(x=torch.zeros(3, 2), edge_index=edges, y=torch.tensor([float(target)]))


def chains(folder, **options):
    rows = [f"{'C' * (i + 3)},{i}" for i in range(40)]
    (folder / "chains.csv").write_text("\n".join(["smiles,y", *rows]))
    return Molecules(folder / "chains.csv", "smiles", "y", **options)


@pytest.mark.parametrize("own", [True, False])
def test_what_works_in_place_does_not_accumulate(own):
    graphs = [path(i) for i in range(40)]
    data = DataModule(
        Fresh(transform=Add()) if own else graphs, transform=None if own else Add(), batch_size=40
    )
    for _ in range(3):
        assert all((batch.x == 1).all() for batch in data.train_dataloader())
    for _ in range(2):
        again = DataModule(graphs, pre_transform=Add())
        assert (again.train_data[0].x == 1).all()
    assert all((graph.x == 0).all() for graph in graphs)


def test_what_works_in_place_on_gias_datasets(tmp_path):
    dataset = chains(tmp_path, transform=Add())
    plain = chains(tmp_path)[0].x
    for _ in range(2):
        assert torch.equal(dataset[0].x, plain + 1)
        assert torch.equal(DataModule(dataset, split="none").test_data[0].x, plain + 1)


@pytest.mark.parametrize("kind", ["pyg", "gia"])
def test_encodings_are_of_the_edges_that_the_datasets_transform_makes(tmp_path, kind):
    dataset = Fresh(transform=Complete())
    if kind == "gia":
        dataset = chains(tmp_path, transform=Complete())
    graph = DataModule(dataset, rwse=3, split="none").test_data[0]
    assert graph.num_edges == 6
    assert torch.equal(graph.random_walk_pe, AddRandomWalkPE(3)(graph.clone()).random_walk_pe)


def test_encodings_of_graphs_without_edges():
    graphs = [Data(x=torch.rand(3, 2), y=torch.tensor([float(i)])) for i in range(40)]
    assert (DataModule(graphs, rwse=3).train_data[0].random_walk_pe == 0).all()


def drawn(workers, seed=0, epoch=0, skip=0):
    graphs = [path(i) for i in range(40)]
    data = DataModule(graphs, transform=Noise(), batch_size=4, num_workers=workers, seed=seed)
    loader = data.train_dataloader()
    loader.load_state_dict({"epoch": epoch, "batches": skip})
    return {
        name: tuple(row)
        for batch in loader
        for name, row in zip(batch.name, batch.drawn.tolist(), strict=True)
    }


def test_what_is_drawn_in_workers_depends_on_seed_epoch_and_item():
    first = drawn(2)
    assert len(set(first.values())) == len(first)  # no two items alike
    assert drawn(1) == first
    rest = drawn(2, skip=3)
    assert 0 < len(rest) < len(first)
    assert rest.items() <= first.items()
    for other in (drawn(2, seed=1), drawn(2, epoch=1)):
        assert not set(other.values()) & set(first.values())


MODULE = """
from torch_geometric.transforms import BaseTransform
from user_base import Base
SIZE = {size}
def encode(data):
    return {value}
class Encoding(Base):
    pass
def local():
    class Local(Base):
        pass
    return Local()
"""
BASE = """
from torch_geometric.transforms import BaseTransform
class Base(BaseTransform):
    def forward(self, data):
        return {what}
"""


@pytest.fixture
def user(tmp_path, monkeypatch):
    """Imports two files of a user's that say this."""
    monkeypatch.syspath_prepend(tmp_path)
    files = {"user_base": BASE, "user": MODULE}

    def write(size="4", value="0", what="data"):
        for name, text in files.items():
            text = text.format(size=size, value=value, what=what)
            (tmp_path / f"{name}.py").write_text(text)
            sys.modules.pop(name, None)
        importlib.invalidate_caches()
        return importlib.import_module("user")

    yield write
    for name in files:
        sys.modules.pop(name, None)


def test_a_key_knows_what_a_transform_uses(user):
    key = described(user().Encoding())
    assert key is not None
    assert described(user().Encoding()) == key
    changes = ({"size": "55"}, {"value": "data.x"}, {"what": "data.clone()"})
    others = [described(user(**change).Encoding()) for change in changes]
    assert key not in others
    assert len(set(map(str, others))) == len(others)


def test_a_class_within_a_function_has_no_key(user):
    assert described(user().local()) is None  # it may read what is around it
