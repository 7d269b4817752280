"""Datasets, transforms and splits of other people's."""

import json

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from runs import SMALL, compose_config
from torch_geometric.data import Data, HeteroData, InMemoryDataset
from torch_geometric.datasets import FakeDataset, TUDataset
from torch_geometric.loader import DataLoader
from torch_geometric.transforms import AddRandomWalkPE, BaseTransform, Compose

from gia.data import DataModule, Molecules, Peptides, Records, file_split
from gia.training import Run


class Rings(InMemoryDataset):
    """Rings of 3 to 9 nodes with integer features; the target is their size."""

    def __init__(self, number=60, transform=None):
        super().__init__(None, transform)
        self.data, self.slices = self.collate([ring(3 + i % 7) for i in range(number)])


class Eccentric(BaseTransform):
    """An encoding of the tests' own: the place in the ring, in two columns."""

    def forward(self, data):
        angle = torch.arange(data.num_nodes) * (2 * torch.pi / data.num_nodes)
        data.angle_pe = torch.stack([angle.sin(), angle.cos()], 1)
        return data


class Broken(BaseTransform):
    def forward(self, data):
        if data.num_nodes == 9:
            raise RuntimeError("nine nodes")
        return data


def ring(n, **attributes):
    node = torch.arange(n)
    edges = torch.stack([node, (node + 1) % n])
    return Data(
        x=node % 2, edge_index=torch.cat([edges, edges.flip(0)], 1), y=float(n), **attributes
    )


def rings(number=40):
    return [ring(3 + i % 7) for i in range(number)]


def trained(folder, *overrides):
    settings = [*SMALL, f"run_dir={folder}/run", "trainer.max_epochs=1", *overrides]
    run = Run.from_config(compose_config(*settings))
    metrics = run.fit()
    assert all(np.isfinite(value) for key, value in metrics.items() if key.endswith("loss"))
    return run


def test_a_dataset_of_the_tests_with_transforms_by_config(tmp_path):
    walks = "{_target_: torch_geometric.transforms.AddRandomWalkPE, walk_length: 5}"
    mine = f"{{_target_: {__name__}.Eccentric}}"
    compose = "data.{}={{_target_: torch_geometric.transforms.Compose, transforms: [{}]}}"
    run = trained(
        tmp_path,
        "data=pyg",
        f"data.dataset._target_={__name__}.Rings",
        "data.dataset.number=50",
        compose.format("pre_transform", walks),
        compose.format("transform", mine),
    )
    inputs = run.datamodule.inputs()
    assert inputs["encodings"] == {"angle_pe": 2, "random_walk_pe": 5}
    assert (inputs["node_categories"], inputs["level"]) == ([2], "graph")
    assert set(run.task.model.encoder.encodings) == set(inputs["encodings"])
    assert run.datamodule.train_data[0].angle_pe.size(1) == 2


def test_tudataset_of_pyg_by_config(tmp_path, shared_data):
    (tmp_path / "MUTAG").mkdir()
    (tmp_path / "MUTAG" / "raw").symlink_to(shared_data / "tu" / "MUTAG" / "raw")
    name = f"{TUDataset.__module__}.{TUDataset.__qualname__}"
    dataset = [f"data.dataset._target_={name}", f"data.dataset.root={tmp_path}"]
    more = ["data.dataset.name=MUTAG", "data.target=y", "task=classification"]
    run = trained(tmp_path, "data=pyg", *dataset, *more)
    assert len(run.datamodule.graphs) == 188
    assert run.task.class_names == ["0", "1"]


@pytest.mark.parametrize(
    ("options", "level", "known"),
    [
        ({}, "graph", {"node_channels": 64, "edge_channels": 0}),
        ({"edge_dim": 3}, "graph", {"node_channels": 64, "edge_channels": 3}),
        ({"num_channels": 0}, "graph", {"node_channels": 0, "node_categories": []}),
        ({"task": "node"}, "node", {"node_channels": 64}),
    ],
)
def test_fake_datasets(options, level, known):
    dataset = FakeDataset(60, avg_num_nodes=10, avg_degree=2, num_classes=3, **options)
    data = DataModule(dataset, target_type="classification")
    inputs = data.inputs()
    assert {key: inputs[key] for key in known} == known
    assert (inputs["level"], inputs["class_names"]) == (level, ["0", "1", "2"])
    batch = next(iter(data.train_dataloader()))
    assert len(batch.y) == (batch.num_nodes if level == "node" else batch.num_graphs)


def test_gias_datasets_stand_alone(shared_data):
    path = shared_data / "molecules" / "delaney-processed.csv"
    target = "measured log solubility in mols per litre"
    molecules = Molecules(path, "smiles", target, transform=AddRandomWalkPE(3))
    assert len(molecules) == 1128
    batch = next(iter(DataLoader(molecules, batch_size=8)))
    assert batch.random_walk_pe.shape == (batch.num_nodes, 3)
    assert batch.y.shape == (8, 1)


def test_a_transform_is_called_whenever_an_item_is_fetched():
    data = DataModule(Rings(transform=lambda d: d), transform=lambda d: calls.append(1) or d)
    calls = []
    data.setup()
    before = len(calls)
    first = data.train_data[0]
    assert len(calls) == before + 1
    assert first.y.shape == (1, 1)


def test_a_transform_that_fails_names_the_item():
    for where in ("pre_transform", "transform"):
        data = DataModule(rings(), **{where: Compose([AddRandomWalkPE(2), Broken()])})
        with pytest.raises(
            ValueError, match=r"transform Broken failed on row 6 \(item_6\): .*nine nodes"
        ):
            data.setup()
    data = DataModule(rings(), pre_transform=lambda d: None)
    with pytest.raises(ValueError, match=r"gave NoneType instead of Data for row 0"):
        data.setup()


def wider():
    other = ring(5)
    other.x = torch.zeros(5, 3, dtype=torch.long)
    return [*rings(), other]


def without_target():
    graphs = rings(6)
    for graph in graphs:
        del graph.y
    return graphs


BAD = {
    "no target": (without_target, {}, r"row 0 \(item_0\): it has no attribute 'y' .*edge_index"),
    "another target": (rings, {"target": "z"}, r"no attribute 'z' \(data\.target\)"),
    "other shapes": (wider, {}, r"row 40 \(item_40\) has x \[\*, 3\] of int64, but item_0 has x "),
    "no items": (list, {}, "list is empty: it has no items"),
    "no nodes": (lambda: [Data(x=torch.ones(0, 1), y=1.0)], {}, "it is empty: it has no nodes"),
    "no graph": (lambda: [HeteroData()], {}, "row 0 is a HeteroData"),
    "no class": (
        lambda: [half(data) for data in rings()],
        {"target_type": "classification"},
        "holds 1.5, which is no class: for numbers use task=regression",
    ),
    "no encoding": (rings, {"encodings": ["my_pe"]}, "data.encodings names 'my_pe'"),
    "one large graph": (lambda: [ring(9)], {}, "list is one graph: .* train_mask"),
    "no column": (rings, {"split": "given", "split_column": "part"}, "no attribute 'part'"),
    "no node": (lambda: [Data(x=torch.ones(2, 1), edge_index=torch.tensor([[0], [2]]), y=1.0)], {},
                "edge_index names node 2, but there are 2 nodes"),
}  # fmt: skip


def half(data):
    data.y = data.y / 2
    return data


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_used_is_told(case):
    make, options, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        DataModule(make(), **options).setup()


def test_splits_of_a_language_model(peptides):
    records = peptides[::20]
    common = {"target_type": "next_token", "tokens_per_batch": 512}
    tested = []
    for fold in range(4):
        data = DataModule(Records(records), split="kfold", folds=4, fold=fold, **common)
        tested += [graph.name for graph in data.test_data]
    assert sorted(tested) == sorted(record.name for record in records)


def test_a_given_split_of_a_language_model(tmp_path):
    lines = [
        f"MK{a},{part}" for a, part in zip("ACDEFG", ["train"] * 4 + ["val", "test"], strict=True)
    ]
    (tmp_path / "t.csv").write_text("\n".join(["seq,part", *lines]))
    given = ["data.split=given", "data.split_column=part", "data.sequence_column=seq"]
    cfg = compose_config("name=t", "run_dir=x", "data=csv", f"data.path={tmp_path}/t.csv", *given)
    data = instantiate(cfg.data)
    assert [graph.text for graph in data.test_data] == ["MKG"]
    assert len(data.train_data) == 4


def test_a_budget_of_tokens_for_labelled_proteins():
    data = DataModule(
        Peptides(max_length=60), target_type="classification", split="random", tokens_per_batch=900
    )
    for batch in data.train_dataloader():
        assert batch.ptr.diff().max() * batch.num_graphs <= 900
    assert data.summary()["padding_waste"] < 0.05


ROWS = {"train": [0, 1, 2, 3], "valid": [4, 5], "test": [6, 7]}


def write(folder, kind, rows):
    path = folder / f"split.{kind}"
    if kind == "json":
        path.write_text(json.dumps(rows))
    elif kind == "npz":
        np.savez(path, **{f"{name}_idx": np.array(own) for name, own in rows.items()})
    elif kind == "pt":
        torch.save({name: torch.tensor(own) for name, own in rows.items()}, path)
    else:
        lines = [f"{row},{name}" for name, own in rows.items() for row in own]
        path.write_text("\n".join(["row,split", *lines]))
    return path


@pytest.mark.parametrize("kind", ["json", "npz", "pt", "csv"])
def test_a_split_in_a_file(tmp_path, kind):
    path = write(tmp_path, kind, ROWS)
    data = DataModule(rings(9), split="file", split_file=path)
    data.setup()
    assert data.split.part.tolist() == [0, 0, 0, 0, 1, 1, 2, 2, -1]
    assert data.summary()["unused"] == 1
    assert data.fingerprint() != DataModule(rings(9)).fingerprint()
    for wrong, message in (
        ({"test": [6, 99]}, "puts row 99 into test, but the data has 9 rows"),
        ({"test": [6, 5]}, "puts row 5 into two parts, val and test"),
        ({"test": [8]}, "leaves nothing in the test part"),
    ):
        path = write(tmp_path, kind, ROWS | wrong)
        kept = range(8)  # row 8 made no graph
        with pytest.raises(ValueError, match=message):
            file_split(path, kept, 9)


def test_a_split_that_a_run_has_written(tmp_path):
    data = DataModule(rings(30), split_seed=3)
    data.write_splits(tmp_path / "splits.csv")
    again = DataModule(rings(30), split="file", split_file=tmp_path / "splits.csv")
    assert again.fingerprint() == data.fingerprint()
    with pytest.raises(FileNotFoundError, match=r"data\.split_file=.*none\.json does not exist"):
        DataModule(rings(), split="file", split_file=tmp_path / "none.json").setup()


@pytest.mark.parametrize("dtype", [torch.long, torch.float64])
def test_classes_of_many_digits_stay_apart(dtype):
    numbers = [100_000_000 + i % 10 for i in range(60)]
    graphs = [ring(3 + i % 7) for i in range(60)]
    for graph, number in zip(graphs, numbers, strict=True):
        graph.y = torch.tensor([number], dtype=dtype)
    data = DataModule(graphs, target_type="classification", split="none", transform=lambda d: d)
    assert data.inputs()["class_names"] == [str(100_000_000 + i) for i in range(10)]
    assert [int(graph.y) for graph in data.test_data] == [i % 10 for i in range(60)]
    graphs[0].y = torch.tensor([100_000_010], dtype=dtype)
    known = data.for_model(data.inputs())  # a class that a trained model does not know
    first, *others = known.test_data
    assert first.y.isnan().all()
    assert [int(graph.y) for graph in others] == [i % 10 for i in range(1, 60)]


def test_classes_larger_than_a_float_counts():
    graphs = [ring(3 + i % 7) for i in range(60)]
    for i, graph in enumerate(graphs):
        graph.y = torch.tensor([2**60 + i % 2])
    data = DataModule(graphs, target_type="classification", split="none")
    assert data.inputs()["class_names"] == [str(2**60), str(2**60 + 1)]
    assert [int(graph.y) for graph in data.test_data] == [i % 2 for i in range(60)]


def test_targets_that_single_precision_rounds_are_told():
    graphs = [ring(3 + i % 7) for i in range(60)]
    for i, graph in enumerate(graphs):
        graph.y = torch.tensor([1e8 + i], dtype=torch.float64)
    (note,) = DataModule(graphs, split="none").summary()["notes"]
    assert "differs by 15 on average and is rounded by up to 4 in single precision" in note
    for i, graph in enumerate(graphs):
        graph.y = torch.tensor([0.1 + i], dtype=torch.float64)
    assert DataModule(graphs, split="none").summary()["notes"] == []
