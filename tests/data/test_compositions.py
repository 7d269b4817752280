"""Formulas as graphs of their elements."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gia.data import Compositions, DataModule
from gia.data.node_labels import node_labels
from gia.data.splits.kfold import MATBENCH_SEED, kfold_split, matbench_split

pytest.importorskip("pymatgen", reason="pymatgen is not installed")
from gia.data.composition_descriptors import composition_descriptors
from gia.data.elements import (
    LARGEST,
    element_numbers,
    element_properties,
    fractions,
    read_formula,
    same_formula,
)


@pytest.fixture
def table(tmp_path):
    """Writes rows of formula and target and gives the dataset of them."""

    def make(*rows, header="formula,y", **options):
        file = tmp_path / "t.csv"
        file.write_text("\n".join([header, *rows, ""]))
        return Compositions(file, "formula", "y", **options)

    return make


@pytest.mark.parametrize(
    ("written", "amounts"),
    [
        ("Fe2O3", {"Fe": 2, "O": 3}),
        ("Ag(AuS)2", {"Ag": 1, "Au": 2, "S": 2}),
        ("Ag0.5Ge1Pb1.75S4", {"Ag": 0.5, "Ge": 1, "Pb": 1.75, "S": 4}),
        (" Al ", {"Al": 1}),
        ("[Fe(CN)6]", {"Fe": 1, "C": 6, "N": 6}),
        ("D2O", {"H": 2, "O": 1}),
        ("CuSO4(H2O)5", {"Cu": 1, "S": 1, "O": 9, "H": 10}),
        ("Na0.5H2O", {"Na": 0.5, "H": 2, "O": 1}),
    ],
)
def test_formulas_are_read(written, amounts):
    assert read_formula(written) == amounts


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("", "is empty"),
        ("fe2o3", "cannot be read as a formula"),
        ("(FeO)2(", "cannot be read as a formula"),
        ("Fe0.5O-1", "cannot be read as a formula"),
        ("NaCl+", "cannot be read as a formula"),
        ("Xx2O", "which is no element"),
        ("NACL", "which is no element"),
        ("Fe0", "holds no amount|cannot be read"),
        ("Fe0O1", "holds no amount of Fe"),
        ("H2O@", "it holds '@'"),
        ("NaN", "is missing"),
        ("CuSO4.5H2O", "may be a hydrate"),
    ],
)
def test_what_is_no_formula_is_told(written, reason):
    with pytest.raises(ValueError, match=reason):
        read_formula(written)


amounts = st.dictionaries(
    st.sampled_from(["H", "O", "Fe", "Al", "Ni", "U", "Cl", "C"]),
    st.integers(1, 30),
    min_size=1,
    max_size=6,
)


@given(amounts=amounts, factor=st.integers(1, 5), order=st.randoms(use_true_random=False))
def test_order_and_size_of_a_formula_are_no_difference(amounts, factor, order):
    symbols = list(amounts)
    order.shuffle(symbols)
    written = "".join(f"{symbol}{factor * amounts[symbol]}" for symbol in symbols)
    plain = "".join(f"{symbol}{number}" for symbol, number in amounts.items())
    assert same_formula(read_formula(written)) == same_formula(read_formula(plain))
    assert sum(fractions(read_formula(written)).values()) == pytest.approx(1)
    # What splits compare is a formula again, of the same composition.
    again = fractions(read_formula(same_formula(amounts)))
    assert again == pytest.approx(fractions(amounts), abs=1e-7)


def test_a_node_for_each_element(table):
    items = table("Fe2O3,1.5", "Al,2.5", "O6Fe4,1.5").items
    iron, alone, again = items.graphs
    assert iron.num_nodes == 2
    assert iron.edge_index.tolist() == [[0, 1], [1, 0]]
    assert alone.num_nodes == 1
    assert alone.edge_index.shape == (2, 0)
    assert iron.x.dtype == torch.float32
    assert iron.x[:, 0].tolist() == pytest.approx([0.4, 0.6])
    assert iron.x[:, 1].tolist() == pytest.approx(np.log([0.4, 0.6]))
    which = iron.x[:, -LARGEST:]
    assert which.argmax(1).tolist() == [25, 7]  # iron is element 26, oxygen 8
    assert which.sum(1).tolist() == [1, 1]
    assert torch.equal(iron.x, again.x)
    assert iron.text == again.text == "Fe0.4O0.6"
    assert node_labels(iron, items.kind) == ["Fe", "O"]


def test_equal_compositions_stay_together(table):
    rows = [f"Fe{n}O{3 * n},{n}" for n in range(1, 21)] + [f"Al{n}O1,1" for n in range(2, 40)]
    data = DataModule(table(*rows), split="random")
    summary = data.summary()
    assert summary["duplicates"] == 19
    assert summary["largest_group"] == 20
    assert summary["conflicting"]["y"]["kind"] == "formula"


def test_rows_that_cannot_be_used_are_told(table):
    source = table("Fe2O3,1", "Zz3,2", ",3", "Al2O3,x", "NaCl,", "MgO,2")
    items = source.items
    assert [data.name for data in items.graphs] == ["row_0", "row_5"]
    told = {entry.row: entry.reason for entry in (*items.rejected, *items.masked)}
    assert sorted(told) == [1, 2, 3, 4]
    assert told[1] == "'Zz3' holds Zz, which is no element up to Lr"
    with pytest.raises(ValueError, match="the formula is empty"):
        DataModule(table("Fe2O3,1", ",3", "MgO,2"), strict=True).setup()
    with pytest.raises(ValueError, match="no column 'composition'"):
        Compositions(source.path, "composition", "y").items  # noqa: B018


def test_fractions_that_do_not_add_up_are_told(table):
    items = table("Fe0.62Ni0.2C0.01,1", "Fe0.62Ni0.37C0.01,1", "Fe0.5O0.5,1", "Fe2O3,1").items
    assert items.notes == [
        "the fractions of 1 formulas do not add up to 1, the first are those of row 0, to 0.83: "
        "each counts as its share of the sum"
    ]
    assert items.graphs[0].x[:, 0].sum() == pytest.approx(1)


def test_properties_of_elements():
    names, table = element_properties()
    number = element_numbers()
    assert np.isfinite(table).all()

    def of(symbol, name):
        return table[number[symbol] - 1, names.index(name)]

    assert of("Fe", "Z") == 26
    assert of("O", "X") == 3.44
    assert (of("Fe", "s_electrons"), of("Fe", "d_electrons")) == (2, 6)
    assert (of("Fe", "d_unfilled"), of("O", "p_unfilled"), of("Ne", "p_unfilled")) == (4, 2, 0)
    assert (of("Ga", "d_electrons"), of("Ga", "p_electrons")) == (10, 1)
    assert of("U", "f_electrons") == 3
    assert (of("Si", "is_metalloid"), of("Fe", "is_metal"), of("O", "is_metal")) == (1, 1, 0)


def test_descriptors_by_hand():
    names, values = composition_descriptors(["Fe2O3", "Al", "O6Fe4"])
    said = dict(zip(names, values[0], strict=True))
    assert np.isfinite(values).all()
    assert said["Z_mean"] == pytest.approx(0.4 * 26 + 0.6 * 8)
    assert said["Z_deviation"] == pytest.approx(0.4 * (26 - 15.2) + 0.6 * (15.2 - 8))
    assert (said["Z_min"], said["Z_max"], said["Z_range"], said["Z_mode"]) == (8, 26, 18, 8)
    assert said["num_elements"] == 2
    assert said["norm_2"] == pytest.approx((0.4**2 + 0.6**2) ** 0.5)
    assert (said["Fe"], said["O"], said["Al"]) == pytest.approx((0.4, 0.6, 0))
    assert np.array_equal(values[0], values[2])
    assert dict(zip(names, values[1], strict=True))["X_deviation"] == 0


def test_features_are_of_compositions_alone(table, molecules):
    source = table(*(f"Fe{n}O3,{n}" for n in range(1, 30)))
    data = DataModule(source, features="elements")
    data.setup()
    assert data.graphs[0].graph_features.shape[1] == len(composition_descriptors(["Fe"])[0])
    with pytest.raises(ValueError, match="describes molecules, and these are compositions"):
        DataModule(source, features="rdkit_2d").setup()
    with pytest.raises(ValueError, match="describes compositions, and these are molecules"):
        molecules(*(("C" * n, n) for n in range(1, 30)), features="elements").setup()


def test_a_trained_model_reads_other_formulas(table, tmp_path):
    source = table(*(f"Fe{n}O3,{n}" for n in range(1, 30)))
    data = DataModule(source, features="elements")
    new = tmp_path / "new.csv"
    new.write_text("composition\nUCl4\nwrong\n")  # elements that the training has not
    other = data.for_model(data.inputs(), new, formula_column="composition")
    (graph,) = other.test_data
    assert graph.y.isnan().all()
    assert other.items.rejected[0].row == 1


def test_the_folds_of_matbench():
    """As its package publishes them, of which these were read."""
    known = {0: [2, 4, 19, 25, 26], 3: None}
    split = matbench_split(range(312), 312, fold=0, val_fraction=0.1, seed=0)
    test = split.members("test")
    assert list(test[:5]) == known[0]
    assert len(test) == 63
    others = [
        matbench_split(range(312), 312, fold=fold, val_fraction=0.1, seed=1).members("test")
        for fold in range(5)
    ]
    assert sorted(row for part in others for row in part) == list(range(312))
    assert list(others[0]) == list(test)  # which the run's seed does not move
    with pytest.raises(ValueError, match="12 of 312 have no graph or no target"):
        matbench_split(range(300), 312, fold=0, val_fraction=0.1, seed=0)
    with pytest.raises(ValueError, match=r"data\.fold must be from 0 to 4"):
        matbench_split(range(312), 312, fold=5, val_fraction=0.1, seed=0)


def test_the_validation_of_a_fold_has_a_seed_of_its_own():
    texts = [str(i) for i in range(100)]
    settings = {"folds": 5, "fold": 1, "val_fraction": 0.2, "seed": MATBENCH_SEED}
    one, other = (kfold_split(texts, **settings, val_seed=seed) for seed in (0, 1))
    assert list(one.members("test")) == list(other.members("test"))
    assert list(one.members("val")) != list(other.members("val"))


@pytest.mark.parametrize(
    ("name", "rows", "elements"),
    [("expt_gap", 4604, 3), ("steels_yield", 312, 12), ("glass", 5680, 1), ("dielectric", 4764, 2)],
)
def test_tables_of_matbench(shared_data, name, rows, elements):
    items = Compositions(
        shared_data / "materials" / "composition" / f"{name}.csv", "formula", "target"
    ).items
    assert len(items.graphs) == rows
    assert items.rejected == []
    assert items.graphs[0].num_nodes == elements
