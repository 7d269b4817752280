"""Melting and boiling points."""

import pytest

from gia.data import Compounds, Molecules


def sliced(name, start, stop):
    """Some of the compounds, since reading all of them takes a while."""
    source = Compounds(name)
    rows, missing = source._rows
    source.__dict__["_rows"] = rows[start:stop], missing
    return source


@pytest.mark.parametrize(
    ("name", "column", "number", "missing"),
    [
        ("melting_point", "melting point (K)", 11_384, 165),
        ("boiling_point", "boiling point (K)", 11_086, 2_375),
    ],
)
def test_measured_compounds_with_a_structure(name, column, number, missing):
    source = Compounds(name)
    columns, rows = source.table()
    assert columns == ["CAS", "smiles", column]
    assert len(rows) == len({row["CAS"] for row in rows}) == number
    assert source._rows[1] == missing
    # In kelvin: nothing freezes or boils below helium, and water is where it should be.
    assert all(float(row[column]) > 3 for row in rows)
    by_number = {row["CAS"]: row for row in rows}
    benzene = by_number["71-43-2"]
    assert benzene["smiles"] == "C1=CC=CC=C1"
    expected = {"melting_point": 278.65, "boiling_point": 353.25}[name]
    assert float(benzene[column]) == pytest.approx(expected, abs=0.5)


def test_graphs():
    table = sliced("melting_point", 0, 200).load()
    assert (len(table.graphs), table.rejected) == (200, [])
    assert (table.graphs[0].name, table.cells[0]) == ("50-00-0", ["181.15"])
    assert table.target_names == ["melting point (K)"]
    assert table.left_out == {"compounds without a structure": 165}


def test_what_rdkit_rejects():
    table = sliced("boiling_point", 7730, 7770).load()
    assert [entry.name for entry in table.rejected] == ["7787-71-5", "7789-30-2", "7790-91-2"]
    assert [entry.row for entry in table.rejected] == [1, 10, 30]
    assert len(table.graphs) == 37


def test_a_file_in_their_place(tmp_path):
    file = tmp_path / "new.csv"
    file.write_text("smiles\nCCO\n")
    source = Compounds("melting_point").with_file(file)
    assert isinstance(source, Molecules)
    assert source.load(labelled=False).graphs[0].text == "CCO"


def test_errors_say_what_to_do(monkeypatch):
    with pytest.raises(ValueError, match="one of melting_point, boiling_point, got 'density'"):
        Compounds("density")
    monkeypatch.setattr("gia.data.datasets.compounds.PACKAGE", "no-such-package")
    with pytest.raises(ImportError, match=r"pip install gia\[chem\], or .*data=molecules"):
        Compounds("melting_point").load()
