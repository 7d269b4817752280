"""Subsets that PyG and PyTorch make of a dataset: their items alone are used."""

import pytest
import torch
from torch.utils.data import Subset, random_split
from torch_geometric.transforms import BaseTransform

from gia.data import TU, DataModule, Molecules, Peptides, Record, Records


class Counted(BaseTransform):
    """Counts how often it is called."""

    def __init__(self):
        self.calls = 0

    def forward(self, data):
        self.calls += 1
        return data


@pytest.fixture
def molecules(tmp_path, monkeypatch):
    """Sixty chains; every fifth row has no target."""
    monkeypatch.setenv("GIA_CACHE", str(tmp_path / "cache"))
    rows = [f"{'C' * (i + 1)}O,{i if i % 5 else ''}" for i in range(60)]
    (tmp_path / "chains.csv").write_text("\n".join(["smiles,y", *rows]))
    return Molecules(tmp_path / "chains.csv", "smiles", "y")


def used(dataset, **options):
    data = DataModule(dataset, **options)
    data.setup()
    return data, [graph.name for graph in data.graphs]


def names(dataset):
    return [dataset[i].name for i in range(len(dataset))]


@pytest.mark.parametrize("transform", [None, Counted()])
def test_held_out_items_stay_out(molecules, transform):
    order = torch.randperm(len(molecules), generator=torch.Generator().manual_seed(0))
    mine, held = molecules[order[:30]], molecules[order[30:]]
    data, graphs = used(mine, transform=transform)
    assert graphs == names(mine)
    assert not set(graphs) & set(names(held))
    assert [graph.row for graph in data.graphs] == [graph.row for graph in mine]
    assert all(row % 5 for row in (graph.row for graph in data.graphs))
    assert sum(len(data.part(part)) for part in ("train", "val", "test")) == 30
    assert not data.items.rejected  # rows without a target are in no subset


def test_masks_shuffles_and_subsets_of_subsets(molecules):
    mask = torch.arange(len(molecules)) % 2 == 0
    for subset in (
        molecules[mask],
        molecules.shuffle()[:20],
        molecules[10:40][[*range(20, 5, -1), 19]],
    ):
        assert used(subset)[1] == names(subset)


def test_a_subset_of_rows_that_other_options_leave_out(molecules):
    everything = Molecules(molecules.path, "smiles", "y", labelled=False)
    assert len(everything) == 60
    data, _ = used(everything[:20])  # rows without a target are none to train on
    assert [graph.row for graph in data.graphs] == [row for row in range(20) if row % 5]
    assert [entry.row for entry in data.items.rejected] == [0, 5, 10, 15]


def test_subsets_of_sequences():
    peptides = Peptides(target_type="classification").shuffle()[:500]
    assert len(used(peptides, target_type="classification")[1]) == 500
    records = Records([Record(f"s{i}", "ACDE" * (1 + i % 9) + "KLMN"[i % 4]) for i in range(60)])
    half = records[::2]
    data, graphs = used(half, target_type="next_token", split="random")
    assert graphs == [f"s{i}" for i in range(0, 60, 2)]
    other = data.for_model(data.inputs(), whole=True)
    assert [graph.name for graph in other.test_data] == graphs


def test_subsets_of_pytorch(molecules):
    first, second = random_split(molecules, [30, 18], torch.Generator().manual_seed(0))
    assert used(first)[1] == [molecules[i].name for i in first.indices]
    nested = Subset(second, range(12))
    assert used(nested)[1] == [molecules[second.indices[i]].name for i in range(12)]


def test_the_transform_in_a_subset_is_called_at_each_fetch(molecules):
    counted = Counted()
    dataset = Molecules(molecules.path, "smiles", "y", transform=counted)
    data, _ = used(Subset(dataset, range(20)))
    before = counted.calls
    list(data.train_dataloader())
    assert counted.calls == before + len(data.train_data)


def test_a_kept_dataset_and_its_subsets_are_told_apart(shared_data, tmp_path, monkeypatch):
    monkeypatch.setenv("GIA_CACHE", str(tmp_path))
    whole = TU("MUTAG", shared_data / "tu")
    for dataset in (whole[:50], whole, whole[100:150], whole[:50].copy(), whole[50:100].copy()):
        data, _ = used(dataset, target_type="classification")
        assert len(data.graphs) == len(dataset)
        assert all(
            torch.equal(a.x.long(), b.x.long()) for a, b in zip(data.graphs, dataset, strict=True)
        )
