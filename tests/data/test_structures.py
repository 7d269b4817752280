"""Structures without measurements, and targets that are computed of them."""

import csv
import hashlib

import numpy as np
import pytest
import torch

from gia.data import Compounds, DataModule, Molecules, Structures
from gia.data.computed_targets import winsorised
from gia.data.descriptors import rdkit_descriptors


@pytest.fixture(scope="module")
def some():
    return Structures("rdkit_2d", number=200)


def test_there_are_many_and_some_are_drawn_evenly():
    columns, rows = Structures().table()
    assert columns == ["CAS", "smiles"]
    assert len(rows) > 70_000
    assert len({row["CAS"] for row in rows}) == len(rows)
    _, few = Structures(number=7).table()
    assert few == [rows[i * len(rows) // 7] for i in range(7)]
    assert len(Structures(number=10**9).table()[1]) == len(rows)


def test_compounds_still_find_their_structures():
    _, rows = Compounds("melting_point").table()
    _, known = Structures().table()
    known = {row["CAS"]: row["smiles"] for row in known}
    assert len(rows) == 11_384
    assert all(known[row["CAS"]] == row["smiles"] for row in rows)


def test_descriptors_are_targets(some):
    from rdkit import Chem
    from rdkit.Chem import Descriptors

    items = some.items
    place = {name: i for i, name in enumerate(items.target_names)}
    assert len(place) > 120
    for name, of in (("MolWt", Descriptors.MolWt), ("TPSA", Descriptors.TPSA)):
        true = np.array([of(Chem.MolFromSmiles(data.text)) for data in items.graphs])
        said = np.array([float(data.y[0, place[name]]) for data in items.graphs])
        # All of them but for the two tails of half a per cent, here a molecule each.
        assert np.isclose(said, true, rtol=1e-5).sum() >= len(true) - 2
        assert said.max() == pytest.approx(np.quantile(true, 0.995), rel=1e-5)
    y = torch.cat([data.y for data in items.graphs])
    assert ((y != y.nanmedian(0).values) & ~y.isnan()).sum(0).min() >= 10  # none is constant


def test_a_regression_is_set_up_on_them(some):
    data = DataModule(some, batch_size=32)
    inputs = data.inputs()
    assert inputs["out_channels"] == len(inputs["target_std"]) == len(some.items.target_names)
    assert min(inputs["target_std"]) > 0
    assert all(np.isfinite(inputs["target_mean"]))


def test_tails_are_cut_and_what_is_not_finite_is_masked():
    values = np.zeros((1000, 3))
    values[:, 0] = np.arange(1000)
    values[0, 0] = 1e30
    values[:, 1] = np.nan
    values[5, 2] = np.inf
    cut = winsorised(values)
    assert cut[0, 0] == cut[:, 0].max() == pytest.approx(995, abs=1)
    assert cut[:, 0].min() == pytest.approx(5, abs=1.1)
    assert cut[100:900, 0].tolist() == list(range(100, 900))
    assert np.isnan(cut[:, 1]).all()
    assert np.isnan(cut[5, 2])
    assert np.isnan(cut).sum() == 1001


def test_what_another_run_is_measured_on_is_left_out(tmp_path):
    all_of = Structures(number=60, target_type="masked")
    texts = [data.text for data in all_of.items.graphs]
    digests = [hashlib.sha256(text.encode()).hexdigest()[:16] for text in texts]
    parts = ["train", "val", "test"] * len(texts)
    lines = [
        [i, part, digest] for i, (part, digest) in enumerate(zip(parts, digests, strict=False))
    ]
    with (tmp_path / "splits.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["row", "split", "sha256"], *lines])
    left = Structures(number=60, target_type="masked", leave_out_file=tmp_path / "splits.csv")
    assert [data.text for data in left.items.graphs] == texts[::3]
    assert next(iter(left.items.left_out.values())) == len(texts) - len(texts[::3])
    assert left.digest() != all_of.digest()
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    other = Structures(leave_out_file=tmp_path / "other.csv", target_type="masked")
    with pytest.raises(ValueError, match=r"must be splits.csv of a run.*this has a, b"):
        other.items  # noqa: B018


def test_digests_are_those_of_a_run(tmp_path):
    data = DataModule(Structures(number=60), target_type="masked", batch_size=8)
    data.write_splits(tmp_path / "splits.csv")
    left = Structures(number=60, target_type="masked", leave_out_file=tmp_path / "splits.csv")
    train = {graph.text for graph in data.train_data}
    assert {graph.text for graph in left.items.graphs} == train


def test_large_ones_are_left_out():
    items = Structures(number=60, target_type="masked", max_atoms=12).items
    assert items.graphs
    assert max(data.num_nodes for data in items.graphs) <= 12
    assert items.left_out["of more than 12 atoms"] == 60 - len(items.graphs) - len(items.rejected)


def test_bad_options_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"data.number must be at least 1, got 0"):
        Structures(number=0)
    with pytest.raises(ValueError, match=r"data.computed_targets must be one of rdkit_2d"):
        Structures("mordred")
    with pytest.raises(ValueError, match=r"give data.computed_targets=rdkit_2d, or task=masked"):
        Structures(number=10).items  # noqa: B018
    with pytest.raises(ValueError, match=r"no descriptor differs among 5 molecules"):
        Structures("rdkit_2d", number=5).items  # noqa: B018
    with pytest.raises(ValueError, match=r"makes the targets: give data.target_column=null"):
        Molecules("x.csv", "smiles", "y", computed_targets="rdkit_2d")


def test_molecules_of_a_table_have_computed_targets_too(tmp_path):
    _, rows = Structures(number=60).table()
    file = tmp_path / "molecules.csv"
    with file.open("w", newline="") as stream:
        csv.writer(stream).writerows([["smiles"], *([row["smiles"]] for row in rows)])
    items = Molecules(file, "smiles", computed_targets="rdkit_2d").items
    names, values = rdkit_descriptors([data.text for data in items.graphs])
    weights = values[:, names.index("MolWt")]
    place = items.target_names.index("MolWt")
    said = [float(data.y[0, place]) for data in items.graphs]
    middle = np.argsort(weights)[2:-2]
    np.testing.assert_allclose(np.array(said)[middle], weights[middle], rtol=1e-5)
    hidden = Molecules(file, "smiles", computed_targets="rdkit_2d", target_type="masked")
    assert hidden.items.graphs[0].get("y") is None


def test_what_is_to_be_guessed_needs_no_targets(molecules):
    rows = [("C" * n, "" if n % 2 else 1.5) for n in range(1, 41)]
    data = molecules(*rows, target_type="masked", batch_size=8, split="random")
    assert len(data.train_data) + len(data.val_data) + len(data.test_data) == 40
    inputs = data.inputs()
    assert inputs["level"] == "node"
    assert inputs["out_channels"] == sum(inputs["node_categories"]) == 177
    assert inputs["target_names"] == []
    assert data.summary()["rejected"] == []
    assert data.train_data[0].get("y") is None


def test_each_molecule_of_a_held_out_pair_is_left_out(tmp_path):
    texts = [data.text for data in Structures(number=40, target_type="masked").items.graphs]
    pairs = [f"{first},{texts[-1 - i]},{i}" for i, first in enumerate(texts[:12])]
    (tmp_path / "pairs.csv").write_text("\n".join(["a,b,y", *pairs]))
    data = DataModule(Molecules(tmp_path / "pairs.csv", ["a", "b"], "y"), batch_size=8)
    data.write_splits(tmp_path / "splits.csv")
    left = Structures(number=40, target_type="masked", leave_out_file=tmp_path / "splits.csv")
    held = {
        text for part in ("val", "test") for pair in data.part(part) for text in pair.text.split()
    }
    assert len(held) == 4
    assert {graph.text for graph in left.items.graphs} == {*texts} - held
