"""A large table is predicted in parts, with the result of the whole, and goes on where it was."""

import pytest
from omegaconf import OmegaConf
from runs import gia
from runs import read_table as read
from runs import write_table as write

from gia.data import Compounds
from gia.tasks import tables
from gia.training import load_trained, trained_data

SMALL = ["model.width=16", "model.heads=2", "model.depth=2", "trainer.max_epochs=1"]
QUIET = ["callbacks.progress_bar=null", "logger.tensorboard=null"]
EMPTY = range(20, 40)  # rows without a molecule


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("large")
    _, rows = Compounds("melting_point").table()
    known = [list(row.values()) for row in rows[::90]]
    write(folder / "known.csv", ["cas", "SMILES", "Tm"], known)
    arguments = ["data=molecules", "data.path=known.csv", "data.smiles_column=SMILES"]
    gia("train", *arguments, "data.target_column=Tm", *SMALL, *QUIET, "run_dir=run", cwd=folder)
    new = [[str(i), list(row.values())[1]] for i, row in enumerate(rows[5:2000:30])]
    for row in EMPTY:
        new[row][1] = "" if row % 2 else "no molecule"
    new[50][1] = "[Na+].[Cl-]"  # of which rdkit does not say everything
    write(folder / "new.csv", ["id", "SMILES"], new)
    return folder


@pytest.fixture(scope="module")
def task(folder):
    return load_trained(folder / "run" / "checkpoints" / "best.ckpt")


def predict(task, path, out, key="key"):
    task, trained = task
    data = trained_data(trained, OmegaConf.create({"path": str(path)}), set_up=False)
    return task.predict_table(data, out, key)


def test_parts_say_what_the_whole_says(folder, task, tmp_path, monkeypatch):
    whole = predict(task, folder / "new.csv", tmp_path / "whole.csv")
    assert whole["problems"] == len(EMPTY)
    assert [entry["row"] for entry in whole["filled"]] == [50]
    for rows in (7, 20, 66):  # parts without a molecule; a last one of a single row
        monkeypatch.setattr(tables, "ROWS", rows)
        assert predict(task, folder / "new.csv", tmp_path / "parts.csv") == whole
        for one, other in zip(
            read(tmp_path / "parts.csv"), read(tmp_path / "whole.csv"), strict=True
        ):
            said = {name for name in one if name.startswith(("predicted", "lower", "upper"))}
            assert said
            assert {k: v for k, v in one.items() if k not in said} == {
                k: v for k, v in other.items() if k not in said
            }
            for name in said:
                assert (one[name] == "") == (other[name] == "")
                if one[name]:
                    assert float(one[name]) == pytest.approx(float(other[name]), rel=1e-4)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["parts.csv", "whole.csv"]


def test_it_goes_on_where_it_was_interrupted(folder, task, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(tables, "ROWS", 10)
    predict(task, folder / "new.csv", tmp_path / "expected.csv")
    say, said = tables._say, []

    def interrupted(task, data):
        if data.dataset.columns.first == 50:
            raise KeyboardInterrupt
        return say(task, data)

    monkeypatch.setattr(tables, "_say", interrupted)
    out = tmp_path / "out.csv"
    out.write_text("old")
    with pytest.raises(KeyboardInterrupt):
        predict(task, folder / "new.csv", out)
    assert out.read_text() == "old"
    # A row has changed since, and with it its part.
    rows = read(folder / "new.csv")
    rows[0]["id"] = "other"
    write(tmp_path / "new.csv", list(rows[0]), [row.values() for row in rows])
    (tmp_path / "out.csv.parts" / f".{32 * '0'}.json.half").write_text("{")

    def counted(task, data):
        said.append(data.dataset.columns.first)
        return say(task, data)

    monkeypatch.setattr(tables, "_say", counted)
    capsys.readouterr()
    predict(task, tmp_path / "new.csv", out)
    assert said == [0, 50, 60]
    assert not (tmp_path / "out.csv.parts").exists()
    found = read(out)
    assert found[0].pop("id") == "other"
    expected = read(tmp_path / "expected.csv")
    expected[0].pop("id")
    assert found == expected
    told = capsys.readouterr().err
    assert "67 rows, 10 at a time; interrupted, the same command goes on" in told
    assert "67 of 67 rows" in told


def test_another_model_uses_nothing_of_it(folder, task, tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "ROWS", 30)
    say, said = tables._say, []

    def counted(task, data):
        said.append(data.dataset.columns.first)
        if said == [0, 30]:
            raise KeyboardInterrupt
        return say(task, data)

    monkeypatch.setattr(tables, "_say", counted)
    with pytest.raises(KeyboardInterrupt):
        predict(task, folder / "new.csv", tmp_path / "out.csv", key="one")
    predict(task, folder / "new.csv", tmp_path / "out.csv", key="other")
    assert said == [0, 30, 0, 30, 60]


def test_a_table_without_anything_is_refused(folder, task, tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "ROWS", 3)
    write(tmp_path / "new.csv", ["SMILES"], [["C1CC"]] * 8)
    with pytest.raises(ValueError, match="none of 8 rows can be predicted; the first: rdkit"):
        predict(task, tmp_path / "new.csv", tmp_path / "out.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["new.csv"]


def test_what_is_wrong_with_a_part_is_said_of_its_rows(folder, task, tmp_path, monkeypatch):
    write(tmp_path / "new.csv", ["SMILES"], [["CCO"]] * 5 + [["CCO>>CC=O"]] * 8)
    whole = predict(task, tmp_path / "new.csv", tmp_path / "whole.csv")
    monkeypatch.setattr(tables, "ROWS", 4)
    assert predict(task, tmp_path / "new.csv", tmp_path / "out.csv") == whole
    assert whole == {"predicted": 5, "problems": 8} | {k: whole[k] for k in ("far",) if k in whole}
    assert all("reaction" in row["problem"] for row in read(tmp_path / "out.csv")[5:])


def test_equal_parts_are_told_apart_and_others_files_are_left(folder, task, tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "ROWS", 3)
    write(tmp_path / "new.csv", ["SMILES"], [["CCO"], ["[Na+].[Cl-]"], ["CCN"]] * 3)
    (tmp_path / "out.csv.parts").mkdir()
    (tmp_path / "out.csv.parts" / "mine.txt").write_text("mine")
    done = predict(task, tmp_path / "new.csv", tmp_path / "out.csv")
    assert [entry["row"] for entry in done["filled"]] == [1, 4, 7]
    assert [path.name for path in (tmp_path / "out.csv.parts").iterdir()] == ["mine.txt"]
