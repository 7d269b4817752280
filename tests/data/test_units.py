"""Units of targets: what is said of them, and where they arrive."""

import pytest
import torch
from torch_geometric.data import Data

from gia.data import DataModule
from gia.data.units import units_of

NAMES = ["gap", "modulus"]


@pytest.mark.parametrize(
    ("units", "found"),
    [
        (None, [None, None]),
        ("eV", ["eV", "eV"]),
        ("", [None, None]),
        (["eV", "GPa"], ["eV", "GPa"]),
        (["eV", None], ["eV", None]),
        ({"modulus": "GPa"}, [None, "GPa"]),
        ({"gap": None, "modulus": "GPa"}, [None, "GPa"]),
    ],
)
def test_each_target_has_its_unit(units, found):
    assert units_of(units, NAMES) == (found, [])


def test_a_unit_of_no_target_is_told():
    found, said = units_of({"gap": "eV", "gpa": "GPa"}, NAMES)
    assert found == ["eV", None]
    assert said == ["data.units names 'gpa', which is no target here"]


@pytest.mark.parametrize(
    ("units", "message"),
    [
        (["eV"], "1 units, but there are 2 targets: gap, modulus"),
        ({"gap": 400}, "must be a text such as eV.*got 400"),
        (400, "must be a text such as eV.*got 400"),
    ],
)
def test_what_is_no_unit_is_refused(units, message):
    with pytest.raises(ValueError, match=message):
        units_of(units, NAMES)


def test_a_model_is_told_the_units_of_its_data():
    graphs = [Data(x=torch.randn(3, 2), y=torch.randn(1, 2)) for _ in range(30)]
    data = DataModule(graphs, units={"y_1": "GPa", "y_7": "eV"})
    assert data.inputs()["units"] == [None, "GPa"]
    assert "data.units names 'y_7', which is no target here" in data.summary()["notes"]
    other = DataModule(graphs, units="kJ").for_model(data.inputs(), whole=True)
    assert other.inputs()["units"] == [None, "GPa"]  # those that it was trained in
