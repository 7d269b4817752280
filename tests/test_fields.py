"""The pages of fields: their commands lead from a file to predictions and pictures."""

import csv
import json
import random
import re
import shlex

import pytest
from conftest import ROOT
from runs import gia
from runs import read_table as read
from runs import write_table as write

pytestmark = pytest.mark.slow

PAGES = ROOT / "docs" / "fields"
FAST = [
    *("model.width=16", "model.heads=2", "model.depth=2"),
    *("callbacks.progress_bar=null", "logger.tensorboard=null", "trainer.max_epochs=1"),
]


def commands_of(page):
    """The commands of a page; those of Matbench are too long for a test."""
    text = (PAGES / f"{page}.md").read_text()
    assert len(text.splitlines()) < 60
    found = re.findall(r"^gia .*", text, re.MULTILINE)
    short = (line for line in found if " -m " not in line and not line.startswith("gia matbench"))
    return [shlex.split(line)[1:] for line in short]


def walk(page, folder):
    for arguments in commands_of(page):
        more = FAST if arguments[0] == "train" else []
        gia(*arguments, *more, cwd=folder)


def write_structures(folder):
    """Files of other residues on real coordinates, a table of them, and one with two chains."""
    proteins = pytest.importorskip("proteins", reason="gemmi is not installed")
    draw, kinds = random.Random(0), [name for name, *_ in proteins.HAIRPIN]
    rows = []
    for number in range(60):
        residues = [(draw.choice(kinds), *pos) for _, *pos in proteins.HAIRPIN]
        proteins.write(folder / f"p{number}.cif.gz", proteins.protein(residues))
        rows.append([f"p{number}", number / 10])
    write(folder / "structures.csv", ["structure", "stability"], rows)
    proteins.write(folder / "new_structures" / "new.pdb", proteins.protein(names=("A", "B")))


def test_proteins(tmp_path, shared_data):
    with (shared_data / "protein" / "rcsb_fold.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if 30 < len(row["sequence"]) < 90][:120]
    for name, column in (("proteins", "sequence"), ("labels", "secondary_structure")):
        text = "".join(f">{row['pdbChainId']}\n{row[column]}\n" for row in rows)
        (tmp_path / f"{name}.fasta").write_text(text)
    (tmp_path / "new.fasta").write_text(">a\nMKTAYIAKQR\n>b\nQISFVKSHFSRQ\n")
    table = [[row["sequence"], row["alpha"]] for row in rows]
    write(tmp_path / "assay.csv", ["sequence", "activity"], table)
    write(tmp_path / "new.csv", ["sequence"], [["MKTAYIAKQR"], ["QISFVKSHFSRQ"]])
    write(tmp_path / "mutants.csv", ["mutant"], [["K2R"], ["K2R:T3S"]])
    write_structures(tmp_path)
    walk("bioinformatics", tmp_path)
    found = read(tmp_path / "structure.csv")
    assert [row["name"] for row in found] == ["a", "b"]
    assert len(found[0]["predicted_label"]) == len(found[0]["sequence"])
    assert {"confusion_matrix.png", "attention_graph.png", "sequences.png"} <= {
        path.name for path in (tmp_path / "structure").iterdir()
    }
    assert all(float(row["predicted_activity"]) for row in read(tmp_path / "assay_predicted.csv"))
    found = read(tmp_path / "stability.csv")
    assert [row["chain"] for row in found] == ["A", "B"]
    assert all(float(row["predicted_stability"]) for row in found)
    assert len(read(tmp_path / "scores.csv")) == 19 * 22
    assert all(float(row["score"]) for row in read(tmp_path / "scored.csv"))
    assert (tmp_path / "scores.png").exists()
    assert (tmp_path / "vectors.npz").exists()
    assert read(tmp_path / "contacts.csv")


def test_materials(tmp_path, shared_data):
    pytest.importorskip("pymatgen", reason="pymatgen is not installed")
    folder = shared_data / "materials"
    rows = read(folder / "composition" / "expt_gap.csv")[::30]
    write(tmp_path / "gaps.csv", ["formula", "gap"], [list(row.values()) for row in rows])
    write(tmp_path / "new.csv", ["formula"], [["Fe2O3"], ["wrong"], ["GaN"]])
    crystals = read(folder / "perov5" / "val.csv")[:90]
    table = [[row["cif"], row["heat_all"]] for row in crystals]
    write(tmp_path / "crystals.csv", ["cif", "energy"], table)
    walk("materials", tmp_path)
    found = read(tmp_path / "gaps_predicted.csv")
    assert [bool(row["predicted_gap"]) for row in found] == [True, False, True]
    assert "cannot be read as a formula" in found[1]["problem"]
    assert (tmp_path / "gaps" / "parity.png").exists()
    assert len(read(tmp_path / "energy_predicted.csv")) == 90
    assert json.loads((tmp_path / "cgcnn" / "summary.json").read_text())["test"]["mae"] > 0
