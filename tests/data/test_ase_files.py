"""Crystals that ASE has written: the graphs of CIF, targets out of the key-value pairs."""

import gzip
import sqlite3
import sys

import numpy as np
import pytest
import torch
from runs import gia, read_table

from gia.data import Crystals, DataModule

core = pytest.importorskip("pymatgen.core", reason="pymatgen is not installed")
ase = pytest.importorskip("ase", reason="ase is not installed")
build = pytest.importorskip("ase.build")
db = pytest.importorskip("ase.db")
io = pytest.importorskip("ase.io")

SALT = build.bulk("NaCl", "rocksalt", a=5.64)
IRON = build.bulk("Fe")
MOLECULE = build.molecule("H2O")
SLAB = build.fcc111("Al", (1, 1, 3), vacuum=8)  # repeats in two directions


@pytest.fixture
def database(tmp_path):
    """A database of five rows, of which two are no crystals."""
    file = tmp_path / "x.db"
    with db.connect(file) as rows:
        for number, atoms in enumerate((SALT, MOLECULE, IRON, SLAB, SALT)):
            rows.write(atoms, gap=number / 2, name=f"n{number}", stable=number > 2)
    return file


def test_a_database_gives_the_graphs_of_the_same_cif(database, tmp_path):
    items = Crystals(database, target_column="gap", name_column="name").items
    assert [(data.name, data.row, data.y.item()) for data in items.graphs] == [
        ("n0", 0, 0.0),
        ("n2", 2, 1.0),
        ("n4", 4, 2.0),
    ]
    assert [(entry.row, entry.name, entry.reason) for entry in items.rejected] == [
        (1, "n1", "the structure has no cell"),
        (3, "n3", "the structure does not repeat in all three directions"),
    ]
    io.write(tmp_path / "salt.cif", SALT)
    (other,) = Crystals(tmp_path / "salt.cif", target_type=None)
    mine = items.graphs[0]
    assert mine.text == other.text == "Cl0.5Na0.5"
    order, others = (data.edge_attr.sum(0) for data in (mine, other))
    torch.testing.assert_close(order, others, atol=2e-3, rtol=0)
    with pytest.raises(ValueError, match=r"row 1 \(row_1\): the structure has no cell"):
        DataModule(Crystals(database, target_column="gap"), strict=True).setup()


def test_columns_are_the_pairs_the_id_and_what_a_calculator_found(database, tmp_path):
    from ase.calculators.singlepoint import SinglePointCalculator

    atoms = SALT.copy()
    atoms.calc = SinglePointCalculator(atoms, energy=-3.5, forces=np.zeros((2, 3)))
    with db.connect(database) as rows:
        rows.write(atoms, label="word")
    source = Crystals(database, target_column="energy", name_column="id")
    assert source.columns.names == ["id", "gap", "name", "stable", "energy", "label", "structure"]
    assert source.columns.cells("id") == ["1", "2", "3", "4", "5", "6"]
    assert source.columns.cells("label")[4:] == ["", "word"]
    assert [(data.name, data.y.item()) for data in source.items.graphs] == [("6", -3.5)]
    with pytest.raises(
        ValueError, match=r"has no column 'gaps'.*did you mean data.target_column=gap"
    ):
        Crystals(database, target_column="gaps").items  # noqa: B018
    with pytest.raises(ValueError, match="has values called 'name': give its structures another"):
        Crystals(database, "name", "gap").items  # noqa: B018


@pytest.mark.parametrize("suffix", [".extxyz", ".xyz", ".traj", ".extxyz.gz", ".db.gz"])
def test_frames_and_gzipped_files(database, tmp_path, suffix):
    file = tmp_path / f"a{suffix.removesuffix('.gz')}"
    if suffix == ".db.gz":
        file = database
    else:
        frames = [SALT.copy(), IRON.copy()]
        for number, atoms in enumerate(frames):
            atoms.info["gap"] = float(number)
        io.write(file, frames, format="traj" if suffix == ".traj" else "extxyz")
    if suffix.endswith(".gz"):
        packed = tmp_path / f"b{suffix}"
        packed.write_bytes(gzip.compress(file.read_bytes()))
        file = packed
    items = Crystals(file, target_column="gap").items
    assert [data.text for data in items.graphs][:2] == ["Cl0.5Na0.5", "Fe1"]
    assert [data.y.item() for data in items.graphs][:2] == [0.0, 1.0]


def test_atoms_that_are_there_in_part_are_told(tmp_path):
    mixed = IRON.copy()
    mixed.info["occupancy"] = {"0": {"Fe": 0.5, "Cu": 0.5}}
    vacant = IRON.copy()
    vacant.info["occupancy"] = {"0": {"Fe": 0.7}}
    io.write(tmp_path / "x.traj", [SALT, mixed, vacant])
    items = Crystals(tmp_path / "x.traj", target_type=None).items
    assert [data.row for data in items.graphs] == [0]
    assert [entry.row for entry in items.rejected] == [1, 2]
    assert all("partial occupancies" in entry.reason for entry in items.rejected)


def test_a_broken_frame_is_told_and_those_before_it_are_kept(tmp_path):
    file = tmp_path / "x.extxyz"
    io.write(file, [SALT, IRON], format="extxyz")
    file.write_text(file.read_text() + '2\nLattice="1 0 0" Properties=species:S:1:pos:R:3\nNa 0\n')
    items = Crystals(file, target_type=None).items
    assert [data.row for data in items.graphs] == [0, 1]
    (entry,) = items.rejected
    assert entry.row == 2
    assert "cannot be read" in entry.reason
    assert "what follows in" in entry.reason


def test_damaged_rows_and_files_are_told(database, tmp_path):
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE systems SET positions = x'00' WHERE id = 3")
    items = Crystals(database, target_type=None).items
    assert [entry.row for entry in items.rejected] == [1, 2, 3]
    assert "cannot be read" in items.rejected[1].reason
    packed = tmp_path / "cut.db.gz"
    packed.write_bytes(gzip.compress(database.read_bytes())[:-100])
    with pytest.raises(ValueError, match="is not a whole gzip file"):
        Crystals(packed, target_type=None).items  # noqa: B018
    (tmp_path / "no.db").write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match=r"no\.db is no database of ASE"):
        Crystals(tmp_path / "no.db", target_type=None).items  # noqa: B018
    with sqlite3.connect(tmp_path / "other.db") as connection:
        connection.execute("CREATE TABLE t (a)")
    with pytest.raises(ValueError, match=r"other\.db is no database of ASE"):
        Crystals(tmp_path / "other.db", target_type=None).items  # noqa: B018
    with pytest.raises(FileNotFoundError, match=r"gone\.db does not exist"):
        Crystals(tmp_path / "gone.db", target_type=None).items  # noqa: B018


def test_without_ase_it_says_what_to_install(database, monkeypatch):
    monkeypatch.setitem(sys.modules, "ase.db", None)
    with pytest.raises(ImportError, match=r"pip install gia\[materials\]"):
        Crystals(database, target_type=None).items  # noqa: B018


def test_a_model_is_trained_on_one_database_and_predicts_another(tmp_path):
    with db.connect(tmp_path / "train.db") as rows:
        for number in range(40):
            rows.write(build.bulk("NaCl", "rocksalt", a=5 + number / 50), volume=float(number))
    with db.connect(tmp_path / "new.db") as rows:
        rows.write(SALT)
        rows.write(MOLECULE)
    small = ["model.width=16", "model.heads=2", "model.depth=1", "trainer.max_epochs=1"]
    quiet = ["callbacks.progress_bar=null", "logger.tensorboard=null", "run_dir=a"]
    data = ["data=crystals", "data.path=train.db", "data.target_column=volume"]
    gia("train", *data, "data.split=contiguous", *small, *quiet, cwd=tmp_path)
    to = ["data.path=new.db", "out=out.csv"]
    gia("predict", "ckpt_path=a/checkpoints/best.ckpt", *to, cwd=tmp_path)
    first, second = read_table(tmp_path / "out.csv")
    assert float(first["predicted_volume"])
    assert (second["predicted_volume"], second["problem"]) == ("", "the structure has no cell")


def test_names_and_comments_that_mean_something_to_ase(tmp_path):
    copper = IRON.copy()
    copper.info["occupancy"] = 0.5  # of something else than sites
    for name in ("A.XYZ", "b@2.extxyz"):
        io.write(tmp_path / name, copper, format="extxyz")
        assert len(Crystals(tmp_path / name).load(labelled=False).graphs) == 1
    io.write(tmp_path / "c.db", copper)
    (tmp_path / "c.db").rename(tmp_path / "C.DB")
    assert len(Crystals(tmp_path / "C.DB").load(labelled=False).graphs) == 1
