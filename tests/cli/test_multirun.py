"""Several runs of one command line."""

import csv

import pytest
from runs import SMALL, in_fresh_process

OPTIONS = [option for option in SMALL if not option.startswith("name=")]


def test_a_run_for_each_column_in_a_folder_of_its_own_name(tmp_path):
    with (tmp_path / "t.csv").open("w", newline="") as file:
        rows = [["C" * n, n / 7, -n] for n in range(1, 31)]
        csv.writer(file).writerows([["smiles", "400", "FP (°C)"], *rows])
    data = ["data=molecules", "data.path=t.csv", "data.smiles_column=smiles", "debug=fast"]
    arguments = [*data, *OPTIONS, "data.target_column=400,FP (°C)"]
    done = in_fresh_process("train", "-m", *arguments, cwd=tmp_path, GIA_CACHE=str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    runs = sorted((tmp_path / "runs" / "molecules_gin").glob("*/*/predictions.csv"))
    assert [path.parent.name for path in runs] == ["0", "1"]
    headers = [path.read_text(encoding="utf-8").splitlines()[0].split(",")[2] for path in runs]
    assert headers == ["400", "FP (°C)"]


@pytest.mark.slow
def test_choices_name_the_folder(tmp_path):
    (tmp_path / "s.fasta").write_text("".join(f">r{n}\n{'GLWKA' * (n + 3)}\n" for n in range(30)))
    data = ["data=fasta", "data.path=s.fasta", "data.split=random", "debug=fast"]
    arguments = [*data, *OPTIONS, "attention=gin,softmax"]
    done = in_fresh_process("train", "-m", *arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    names = {path.parents[2].name for path in (tmp_path / "runs").glob("*/*/*/summary.json")}
    assert names == {"fasta_gin", "fasta_softmax"}
