"""From a source of graphs to loaders, and what is said about it."""

import csv
import math

import pytest
import torch
from torch_geometric.nn import PNAConv

from gia.data import TU, DataModule, Peptides

ALKANES = ["C" * n for n in range(1, 21)]


@pytest.fixture(scope="module")
def solubility(esol):
    data = DataModule(esol, rwse=16, laplacian=3, batch_size=32)
    data.setup()
    return data


def names(graphs):
    return [data.name for data in graphs]


def numbered(molecules=ALKANES):
    return [(smiles, i) for i, smiles in enumerate(molecules)]


def test_parts_are_disjoint_and_whole(solubility):
    parts = [solubility.train_data, solubility.val_data, solubility.test_data]
    assert [len(part) for part in parts] == [902, 113, 113]
    rows = [data.row for part in parts for data in part]
    assert sorted(rows) == list(range(1128))
    texts = [{data.text for data in part} for part in parts]
    assert not texts[0] & texts[1] | texts[0] & texts[2] | texts[1] & texts[2]


def test_targets_keep_their_units(solubility):
    columns, rows = solubility.dataset.table()
    target = "measured log solubility in mols per litre"
    for data in solubility.graphs[::100]:
        assert data.y.shape == (1, 1)
        assert data.y.item() == pytest.approx(float(rows[data.row][target]))
    assert target in columns


def test_inputs(solubility):
    inputs = solubility.inputs()
    y = torch.cat([data.y for data in solubility.train_data]).double()
    assert inputs["target_mean"] == pytest.approx([y.mean().item()])
    assert inputs["target_range"] == [[y.min().item(), y.max().item()]]
    assert inputs["target_std"] == pytest.approx([y.std(correction=0).item()])
    expected = {
        "node_channels": 0,
        "edge_channels": 0,
        "encodings": {"random_walk_pe": 16, "laplacian_eigenvector_pe": 3},
        "ordered": False,
        "level": "graph",
        "class_names": [],
        "out_channels": 1,
    }
    assert {key: inputs[key] for key in expected} == expected
    assert (len(inputs["node_categories"]), len(inputs["edge_categories"])) == (9, 3)
    degrees = PNAConv.get_degree_histogram(solubility.loader("train"))
    assert inputs["degree_histogram"] == degrees.tolist()
    inputs["level"] = "node"
    assert solubility.inputs()["level"] == "graph"


def test_batches(solubility):
    loader = solubility.train_dataloader()
    batches = list(loader)
    assert len(batches) == len(loader) == 29
    assert {batch.num_graphs for batch in batches} == {31, 32}
    assert sorted(name for batch in batches for name in batch.name) == sorted(
        names(solubility.train_data)
    )
    batch = batches[0]
    assert batch.num_nodes_per_graph == batch.ptr.diff().tolist()
    assert batch.y.shape == (batch.num_graphs, 1)
    assert batch.random_walk_pe.shape == (batch.num_nodes, 16)
    assert batch.laplacian_eigenvector_pe.shape == (batch.num_nodes, 3)
    assert [data.row for data in batch.to_data_list()] == batch.row.tolist()


def test_validation_comes_with_as_many_training_graphs(solubility):
    val, train = solubility.val_dataloader()
    assert names(val.dataset) == names(solubility.val_data)
    assert len(train.dataset) == len(val.dataset)
    assert {train.dataset[i].row for i in range(9)} < {d.row for d in solubility.train_data}


@pytest.mark.parametrize("position", [1, 14, 28])
def test_resumes_in_the_middle_of_an_epoch(solubility, esol, position):
    def fresh():
        data = DataModule(esol, rwse=16, laplacian=3, batch_size=32)
        return data, data.train_dataloader()

    _, loader = fresh()
    loader.batch_sampler.set_epoch(2)
    whole = [tuple(batch.name) for batch in loader]
    data, loader = fresh()
    loader.batch_sampler.set_epoch(2)
    iterator = iter(loader)
    seen = [tuple(next(iterator).name) for _ in range(position)]
    state = data.state_dict()
    assert state == {"epoch": 2, "batches": position}
    data = DataModule(esol, rwse=16, laplacian=3, batch_size=32)
    data.load_state_dict(state)
    assert seen + [tuple(batch.name) for batch in data.train_dataloader()] == whole


def test_summary_of_real_molecules(bbbp):
    data = DataModule(bbbp, target_type="classification", split="scaffold")
    summary = data.summary()
    assert (summary["graphs"], len(summary["rejected"])) == (2039, 11)
    assert summary["rejected"][0]["row"] == 59
    assert (summary["duplicates"], summary["largest_group"]) == (64, 137)
    assert (data.items.class_names, data.inputs()["out_channels"]) == (["0", "1"], 2)
    assert data.inputs()["target_mean"] == data.inputs()["target_std"] == []
    classes = [summary[part]["classes"] for part in ("train", "val", "test")]
    assert [sum(found[name] for found in classes) for name in "01"] == [479, 1560]
    assert summary["absent_classes"] == {}


def test_folds_of_real_graphs(shared_data):
    source = TU("MUTAG", shared_data / "tu")
    tested = []
    for fold in range(10):
        data = DataModule(source, target_type="classification", split="kfold", fold=fold)
        tested += names(data.test_data)
        held = {
            part: set(names(getattr(data, f"{part}_data"))) for part in ("train", "val", "test")
        }
        assert sum(map(len, held.values())) == len(set.union(*held.values())) == 188
        for part in ("val", "test"):
            assert data.summary()[part]["classes"]["0"] == pytest.approx(
                63 / 188 * len(held[part]), abs=1
            )
    assert sorted(tested) == sorted(names(data.graphs))


def test_families_of_peptides_stay_together():
    source = Peptides()
    data = DataModule(source, target_type="classification", split="similarity")
    summary = data.summary()
    assert (summary["groups"], summary["largest_group"]) == (2227, 529)
    assert data.inputs()["ordered"]


def test_a_split_of_the_tables_own(molecules):
    rows = [(s, i, "test" if i < 3 else "val" if i < 8 else "train") for s, i in numbered()]
    data = molecules(*rows, header="smiles,y,part", split="given")
    assert [d.row for d in data.test_data] == [0, 1, 2]
    assert [d.row for d in data.val_data] == [3, 4, 5, 6, 7]
    with pytest.raises(ValueError, match=r"data\.split=given needs .*data\.split_column"):
        molecules(*numbered(), split="given").setup()


def test_bad_rows_are_told_by_number(molecules):
    rows = [
        *numbered(),
        ("C1C", 1),
        ("CO", "nan"),
        ("CCO", "inf"),
        ("", 3),
        ("[Na+].[Cl-]", "high"),
    ]
    data = molecules(*rows)
    summary = data.summary()
    assert summary["graphs"] == 20
    assert [(entry["row"], entry["name"]) for entry in summary["rejected"]] == [
        (row, f"row_{row}") for row in range(20, 25)
    ]
    reasons = [entry["reason"] for entry in summary["rejected"]]
    for reason, part in zip(
        reasons,
        ["is not SMILES", "no target", "'inf' is not finite", "is empty", "'high' is not"],
        strict=True,
    ):
        assert part in reason
    assert (summary["single_node"], summary["without_edges"]) == (1, 1)
    with pytest.raises(ValueError, match=r"strict=true, but 5 rows .*: row 20 \(row_20\): rdkit"):
        molecules(*rows, strict=True).setup()


def test_missing_targets_among_several_are_masked(molecules):
    rows = [(s, i, -i) for s, i in numbered()]
    rows += [("CO", 1, ""), ("CCO", "x", 2), ("CCCO", "", "NaN")]
    data = molecules(*rows, header="smiles,y1,y2")
    summary = data.summary()
    assert summary["missing_targets"] == {"y1": 1, "y2": 1}
    assert [(entry["row"], entry["reason"]) for entry in summary["masked"]] == [
        (20, "no target 'y2'"),
        (21, "target 'y1': 'x' is not a number"),
    ]
    assert [(entry["row"], entry["reason"]) for entry in summary["rejected"]] == [
        (22, "no target 'y1', 'y2'")
    ]
    inputs = data.inputs()
    assert (inputs["target_names"], inputs["out_channels"]) == (["y1", "y2"], 2)
    assert all(math.isfinite(value) for value in inputs["target_mean"] + inputs["target_std"])


def test_a_class_absent_from_a_part_is_named(molecules):
    rows = [(s, "rare" if i == 0 else "ab"[i % 2]) for s, i in numbered()]
    data = molecules(*rows, target_type="classification")
    summary = data.summary()
    assert data.items.class_names == ["a", "b", "rare"]
    assert sum("rare" in absent for absent in summary["absent_classes"].values()) == 2
    for part, absent in summary["absent_classes"].items():
        assert all(summary[part]["classes"][name] == 0 for name in absent)


@pytest.mark.parametrize(
    ("target", "options", "message"),
    [
        (lambda i: 5, {}, "target 'y' is 5 throughout the training part"),
        (lambda i: "", {}, r"no graph with a target is left of 20 rows: row 0 .*and 15 more"),
        (lambda i: "yes", {}, "'yes' is not a number.*; for classes use task=classification"),
        (lambda i: "yes", {"target_type": "classification"}, "at least two classes .* are yes"),
        (lambda i: i, {"split": "similarity"}, r"compares sequences: use data\.split=scaffold"),
    ],
)
def test_data_that_will_not_do(molecules, target, options, message):
    data = molecules(*((smiles, target(i)) for smiles, i in numbered()), **options)
    for _ in range(2):  # a failed set-up is no set-up
        with pytest.raises(ValueError, match=message):
            data.setup()


def test_scaffolds_are_of_molecules(shared_data):
    source = TU("MUTAG", shared_data / "tu")
    data = DataModule(source, target_type="classification", split="scaffold")
    with pytest.raises(
        ValueError, match=r"scaffold compares molecules: use data\.split=random here"
    ):
        data.setup()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "family"}, r"data\.split must be one of random, scaffold, .*, got 'family'"),
        ({"target_type": "ranking"}, r"data\.target_type must be one of regression"),
        ({"rwse": -1}, r"data\.rwse must be at least 0, got -1"),
        ({"laplacian": -2}, r"data\.laplacian must be at least 0, got -2"),
        ({"batch_size": 0}, r"data\.batch_size must be at least 1"),
    ],
)
def test_options_out_of_range(molecules, options, message):
    with pytest.raises(ValueError, match=message):
        molecules(*numbered(), **options)


def test_splits_are_written_down_and_told_apart(molecules, tmp_path):
    data = molecules(*numbered())
    data.write_splits(tmp_path / "splits.csv")
    with open(tmp_path / "splits.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows if row["split"] == "test"] == names(data.test_data)
    assert data.fingerprint() == molecules(*numbered()).fingerprint()
    assert data.fingerprint() != molecules(*numbered(), split_seed=1).fingerprint()


def test_prediction_on_other_data(molecules, tmp_path):
    data = molecules(*((s, "ab"[i % 2]) for s, i in numbered()), target_type="classification")
    inputs = data.inputs()
    file = tmp_path / "new.csv"
    file.write_text("id,smiles,y\n1,CCO,b\n2,C1C,a\n3,N,\n4,[He],z\n5,CC,a\n")
    new = data.for_model(inputs, path=file)
    new.setup()
    assert [graph.row for graph in new.graphs] == [0, 2, 3, 4]
    assert [row.row for row in new.items.rejected] == [1]
    assert [row.reason for row in new.items.masked] == ["target 'y': 'z' is not one of a, b"]
    assert new.items.class_names == ["a", "b"]
    y = torch.cat([graph.y for graph in new.graphs]).flatten()
    assert y.nan_to_num(-1).tolist() == [1, -1, -1, 0]
    columns, rows = new.dataset.table()
    assert (columns, len(rows), rows[1]["smiles"]) == (["id", "smiles", "y"], 5, "C1C")
    assert [row for batch in new.loader("test") for row in batch.row.tolist()] == [0, 2, 3, 4]
    assert new.inputs()["out_channels"] == inputs["out_channels"]
    assert new.summary()["graphs"] == 4
    assert len(data.graphs) == 20


def test_prediction_without_a_target(molecules, tmp_path):
    inputs = (data := molecules(*numbered())).inputs()
    file = tmp_path / "new.csv"
    file.write_text("structure\nCCO\n")
    for columns in ({}, {"target_column": None}):
        new = data.for_model(inputs, file, smiles_column="structure", **columns)
        new.setup()
        assert new.graphs[0].y.isnan().tolist() == [[True]]
        assert (new.items.target_names, new.items.masked, new.items.rejected) == (["y"], [], [])
    with pytest.raises(ValueError, match="no column 'smiles'"):
        data.for_model(inputs, file).setup()
    with pytest.raises(ValueError, match=r"smiles_column name columns .* data\.path"):
        data.for_model(inputs, smiles_column="structure")
    again = data.for_model(inputs, whole=True)
    assert len(again.test_data) == 20


def test_prediction_needs_graphs_that_the_model_knows(shared_data, molecules):
    inputs = molecules(*numbered()).inputs()
    tu = DataModule(TU("MUTAG", shared_data / "tu"), target_type="classification")
    with pytest.raises(ValueError, match=r"whose node_categories is \[119, .* here it is \[\]"):
        tu.for_model(inputs).setup()


def test_another_file_needs_no_column_of_parts(molecules, tmp_path):
    parts = ("train", "val", "test")
    rows = [("C" * n, n, parts[n % 3]) for n in range(1, 10)]
    data = molecules(*rows, header="smiles,y,part", split="given")
    (tmp_path / "new.csv").write_text("smiles\nCCO\n")
    other = data.for_model(data.inputs(), tmp_path / "new.csv")
    assert [graph.text for graph in other.part("test")] == ["CCO"]
