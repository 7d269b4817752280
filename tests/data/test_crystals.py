"""Crystals as graphs of neighbours within a distance."""

import json
import math
import shutil

import numpy as np
import pytest
import torch

from gia.data import Crystals, DataModule
from gia.data.crystals import Neighbours, crystal_graph, read_atoms, read_structure
from gia.data.node_labels import node_labels

core = pytest.importorskip("pymatgen.core", reason="pymatgen is not installed")

SALT = core.Structure.from_spacegroup(
    "Fm-3m", core.Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]
)
IRON = core.Structure(core.Lattice.cubic(2.87), ["Fe", "Fe"], [[0, 0, 0], [0.5, 0.5, 0.5]])
ALONE = core.Structure(core.Lattice.cubic(20), ["He"], [[0, 0, 0]])


def graph_of(structure, **options):
    neighbours = Neighbours(**options)
    return crystal_graph(read_atoms(structure.to(fmt="cif"), neighbours), neighbours)


def test_neighbours_of_rock_salt():
    """Each ion has six of the other kind at half of the cell, then twelve of its own."""
    atoms = read_atoms(SALT.to(fmt="cif"), Neighbours(cutoff=4.5, max_neighbors=12))
    assert len(atoms.numbers) == 8
    assert np.bincount(atoms.target).tolist() == [18] * 8  # as far as the twelfth are all twelve
    nearest = np.sort(atoms.distance.reshape(8, 18), 1)
    assert nearest[:, :6] == pytest.approx(2.82, abs=1e-4)
    assert nearest[:, 6:] == pytest.approx(5.64 / 2**0.5, abs=1e-4)
    short = atoms.distance < 3
    assert (atoms.numbers[atoms.source[short]] != atoms.numbers[atoms.target[short]]).all()
    six = read_atoms(SALT.to(fmt="cif"), Neighbours(cutoff=4.5, max_neighbors=6))
    assert np.bincount(six.target).tolist() == [6] * 8


def test_neighbours_in_several_cells_are_parallel_edges():
    graph = graph_of(IRON, cutoff=2.9, max_neighbors=20)
    pairs = [tuple(pair) for pair in graph.edge_index.T.tolist()]
    assert pairs.count((1, 0)) == 8  # the corners of the cube around an atom
    assert pairs.count((0, 0)) == 6  # and its own images
    assert graph.edge_attr.shape == (28, 32)


def test_distances_as_gaussians():
    neighbours = Neighbours(cutoff=6.0, num_radial=7)
    x = neighbours.radial(torch.tensor([0.0, 2.0, 2.5]))
    assert x[0, 0] == 1
    assert x[1].argmax() == 2
    assert x[1, 2] == 1
    assert x[2, 2] == pytest.approx(x[2, 3])


def test_angles_of_rock_salt():
    """Of six neighbours each has four at a right angle and one behind the atom."""
    graph = graph_of(SALT, cutoff=3.0, num_radial=4, num_angular=3)
    angular = graph.edge_attr[:, 4:]
    assert angular.shape == (48, 3)
    far = math.exp(-1.0), math.exp(-4.0)  # of the next and the second next center
    assert angular[:, 0].numpy() == pytest.approx((1 + 4 * far[0]) / 5, abs=1e-4)  # at -1
    assert angular[:, 1].numpy() == pytest.approx((4 + far[0]) / 5, abs=1e-4)
    assert angular[:, 2].numpy() == pytest.approx((4 * far[0] + far[1]) / 5, abs=1e-4)


def test_angles_are_those_of_a_turned_crystal_and_none_of_an_only_neighbour():
    moved = IRON.copy()
    moved.translate_sites([1], [0.03, 0.01, -0.02])
    turned = core.Structure(
        core.Lattice(moved.lattice.matrix @ rotation()), moved.species, moved.frac_coords
    )
    options = {"cutoff": 4.1, "num_angular": 6}
    ours, theirs = (graph_of(one, **options).edge_attr for one in (moved, turned))
    rows = [np.sort(np.round(x.numpy(), 4), 0) for x in (ours, theirs)]  # in any order of ties
    np.testing.assert_allclose(*rows, atol=1e-3)
    pair = core.Structure(core.Lattice.cubic(20), ["H", "H"], [[0, 0, 0], [0.037, 0, 0]])
    assert (graph_of(pair, num_angular=5).edge_attr[:, 32:] == 0).all()


def rotation():
    x = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    return x * np.sign(np.linalg.det(x))


def test_the_same_crystal_in_another_cell():
    small, large = graph_of(SALT.get_primitive_structure()), graph_of(SALT * (2, 1, 1))
    assert (small.num_nodes, large.num_nodes) == (2, 16)
    assert small.text == large.text == graph_of(SALT).text == "Cl0.5Na0.5"
    assert node_labels(small, "crystal") == ["Na", "Cl"]


def test_order_of_atoms_and_origin_are_no_difference():
    moved = SALT.copy()
    moved.translate_sites(range(8), [0.1, 0.2, 0.3])
    graph, other = graph_of(SALT), graph_of(moved)
    assert graph.text == other.text
    assert torch.allclose(
        graph.edge_attr.sum(0).sort().values, other.edge_attr.sum(0).sort().values, atol=1e-3
    )


def test_formats():
    for text in (SALT.to(fmt="cif"), SALT.to(fmt="poscar"), json.dumps(SALT.as_dict())):
        assert read_structure(text).composition.reduced_formula == "NaCl"
    written = json.loads(json.dumps(SALT.as_dict()), parse_float=str, parse_int=str)
    assert read_structure(json.dumps(written)).lattice.a == pytest.approx(5.64)


def partial_occupancy():
    return core.Structure(core.Lattice.cubic(3), [{"Fe": 0.5, "Ni": 0.5}], [[0, 0, 0]])


def twice():
    return SALT.to(fmt="cif") + IRON.to(fmt="cif")


def unnamed():
    """A POSCAR as VASP 4 had it, without the elements."""
    lines = SALT.to(fmt="poscar").splitlines()
    return "\n".join(
        ["no names", *lines[1:5], *lines[6:8], *(x.rsplit(" ", 1)[0] for x in lines[8:])]
    )


def overlapping():
    return core.Structure(core.Lattice.cubic(3), ["Fe", "Fe"], [[0, 0, 0], [0.02, 0, 0]])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "the structure is empty"),
        ("nothing", "cannot be read"),
        ("data_x\n_cell_length_a 3\n", "cannot be read"),
        (json.dumps({"a": 1}), "cannot be read"),
        ('{"broken', "cannot be read"),
        (partial_occupancy().to(fmt="cif"), "there in part .*partial occupancies are not read"),
        (overlapping().to(fmt="poscar"), "atoms 0 and 1 are 0.06 Angstrom apart"),
        (
            core.Structure(core.Lattice.cubic(0.05), ["Fe"], [[0, 0, 0]]).to(fmt="poscar"),
            "they overlap",
        ),
        (twice(), "holds 2 crystals: give each a row of its own"),
        (unnamed(), "cannot be read"),
    ],
)
def test_what_is_no_crystal_is_told(text, reason):
    with pytest.raises(ValueError, match=reason):
        read_atoms(text, Neighbours())


@pytest.fixture
def table(tmp_path):
    """Writes rows of structure and target as JSON and gives the dataset of them."""

    def make(*rows, **options):
        file = tmp_path / "t.json"
        file.write_text(json.dumps([{"structure": text, "y": y} for text, y in rows]))
        return Crystals(file, "structure", "y", **options)

    return make


def test_rows_that_cannot_be_used_are_told(table):
    source = table(
        (SALT.to(fmt="cif"), 1.0),
        ("nothing", 2.0),
        (partial_occupancy().to(fmt="cif"), 3.0),
        (IRON.as_dict(), 4.0),
        (ALONE.to(fmt="cif"), 5.0),
        (IRON.to(fmt="cif"), None),
    )
    items = source.items
    assert [data.row for data in items.graphs] == [0, 3, 4]
    assert sorted(entry.row for entry in (*items.rejected, *items.masked)) == [1, 2, 5]
    assert items.notes == [
        "1 crystals have atoms without a neighbour within data.cutoff=6.0 Angstrom, the first is "
        "row 4"
    ]
    with pytest.raises(ValueError, match=r"row 1 \(row_1\): there is no file 'nothing'"):
        DataModule(table((SALT.to(fmt="cif"), 1.0), ("nothing", 2.0)), strict=True).setup()
    wrong = ({"cutoff": 0.0}, {"max_neighbors": 0}, {"num_radial": 1}, {"num_angular": 1})
    for options in wrong:
        with pytest.raises(ValueError, match=f"data.{next(iter(options))} must be"):
            table((IRON.to(fmt="cif"), 1.0), **options)


def test_a_table_of_file_names(tmp_path):
    (tmp_path / "iron.cif").write_text(IRON.to(fmt="cif"))
    (tmp_path / "salt.vasp").write_text(SALT.to(fmt="poscar"))
    (tmp_path / "t.csv").write_text("id,file,y\na,iron,1\nb,salt.vasp,2\nc,gone.cif,3\n")
    items = Crystals(tmp_path / "t.csv", "file", "y", name_column="id").items
    assert [(data.name, data.num_nodes) for data in items.graphs] == [("a", 2), ("b", 8)]
    assert "there is no file 'gone.cif'" in items.rejected[0].reason


def test_folders_and_files(tmp_path, shared_data):
    """A folder as CGCNN has it, its files alone, and a pattern."""
    folder = shared_data / "public" / "crystals_cgcnn"
    items = Crystals(folder, target_column="target", name_column="id").items
    assert len(items.graphs) == 10
    assert [data.name for data in items.graphs[:2]] == ["1000041", "1000050"]
    assert [data.num_nodes for data in items.graphs[:4]] == [8, 2, 4, 5]
    assert items.graphs[0].y.item() == 1.0
    assert node_labels(items.graphs[1], items.kind) == ["K", "Cl"]
    as_json = tmp_path / "json"
    as_json.mkdir()
    (as_json / "salt.json").write_text(json.dumps(SALT.as_dict()))
    assert [data.num_nodes for data in Crystals(as_json, target_type=None)] == [8]
    mine = tmp_path / "cifs"
    mine.mkdir()
    for name in ("1000041.cif", "1507756.cif"):
        shutil.copy(folder / name, mine / name)
    for path in (mine, str(mine / "*.cif"), sorted(mine.iterdir())):
        source = Crystals(path, target_type=None, name_column="file")
        assert [data.name for data in source] == ["1000041.cif", "1507756.cif"]
    with pytest.raises(ValueError, match=r"holds neither id_prop\.csv nor a file of a structure"):
        Crystals(tmp_path, target_type=None).items  # noqa: B018
    (mine / "id_prop.csv").write_text("1000041,1\n1507756\n")
    with pytest.raises(ValueError, match="as many targets in each line, it has 1, 2 cells"):
        Crystals(mine, target_column="target").items  # noqa: B018


def test_matbench_s_json(tmp_path):
    """Columns, an index and rows, as pandas writes them with orient=split."""
    frame = {
        "index": ["mb-1", "mb-2"],
        "columns": ["structure", "e_form"],
        "data": [[SALT.as_dict(), -2.1], [IRON.as_dict(), 0.5]],
    }
    file = tmp_path / "matbench_x.json"
    file.write_text(json.dumps(frame))
    items = Crystals(file, target_column="e_form").items
    assert [data.num_nodes for data in items.graphs] == [8, 2]
    assert [data.y.item() for data in items.graphs] == pytest.approx([-2.1, 0.5])


def test_names_of_files_are_of_those_beside_their_table(tmp_path):
    for name, structure in (("a", IRON), ("b", SALT)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.cif").write_text(structure.to(fmt="cif"))
        (tmp_path / name / "t.csv").write_text("structure,y\nx.cif,1\n")
    paths = [tmp_path / "a" / "t.csv", tmp_path / "b" / "t.csv"]
    assert [data.text for data in Crystals(paths, target_column="y")] == ["Fe1", "Cl0.5Na0.5"]


def test_crystals_of_one_composition_stay_together(table):
    strained = [SALT.copy().apply_strain(i / 1000, inplace=False) for i in range(30)]
    texts = [*(one.to(fmt="cif") for one in strained)]
    others = core.Structure(core.Lattice.cubic(3), ["Fe"], [[0, 0, 0]])
    for symbol in ("Al", "Ni", "Cu", "Ag", "Au", "Pt"):
        texts.append(others.copy().replace_species({"Fe": symbol}).to(fmt="cif"))
    data = DataModule(table(*((text, i) for i, text in enumerate(texts))), val_fraction=0.05)
    summary = data.summary()
    assert summary["largest_group"] == 30
    assert (summary["duplicates"], summary["conflicting"]) == (0, {})


def test_several_tables_are_one(tmp_path):
    for name, structure in (("a", IRON), ("b", SALT)):
        text = json.dumps([{"structure": structure.to(fmt="cif"), "y": 1, "z": 2}])
        (tmp_path / f"{name}.json").write_text(text)
    paths = [tmp_path / "a.json", tmp_path / "b.json"]
    assert [data.num_nodes for data in Crystals(paths, target_column="y")] == [2, 8]
    (tmp_path / "b.json").write_text('[{"structure": "x", "other": 1}]')
    with pytest.raises(ValueError, match="do not have the same columns: other, y, z"):
        Crystals(paths, target_column="y").items  # noqa: B018


def test_reading_goes_on_where_it_stopped(tmp_path, monkeypatch):
    """Parts that were read are kept, and read on several cores as on one."""
    from gia.data.datasets import crystals

    monkeypatch.setenv("GIA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(crystals, "CHUNK", 3)
    monkeypatch.setattr(crystals, "FEW", 2)
    texts = [IRON.to(fmt="cif"), "nothing", SALT.to(fmt="cif"), *[IRON.to(fmt="cif")] * 5]
    file = tmp_path / "t.json"
    file.write_text(json.dumps([{"structure": text, "y": 1} for text in texts]))
    calls = []

    def interrupted(found, *arguments, **options):
        calls.append(len(found))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return read(found, *arguments, **options)

    read = crystals._read_all
    monkeypatch.setattr(crystals, "_read_all", interrupted)
    with pytest.raises(KeyboardInterrupt):
        Crystals(file, target_column="y").items  # noqa: B018
    items = Crystals(file, target_column="y").items
    assert calls == [3, 3, 2, 2]  # only the part that was interrupted is read again
    assert [data.row for data in items.graphs] == [0, 2, 3, 4, 5, 6, 7]
    assert [entry.row for entry in items.rejected] == [1]


def test_perovskites(shared_data):
    folder = shared_data / "materials" / "perov5"
    source = Crystals(folder / "val.csv", "cif", "heat_all", name_column="material_id")
    items = source.items
    assert len(items.graphs) + len(items.rejected) == 3787
    assert len(items.graphs) == 3787
    assert {data.num_nodes for data in items.graphs} == {5}
    first = items.graphs[0]
    assert first.edge_attr.shape[1] == 32
    assert first.pos.shape == (5, 3)
