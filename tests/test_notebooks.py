"""The notebooks run from top to bottom, and what they hold is what they give."""

import os
import re
import sys
from pathlib import Path

import nbformat
import pytest
from conftest import ROOT
from nbclient import NotebookClient

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SHARED = ROOT.parent / "shared"
# What lies beside the checkout; a user's is downloaded.
NEEDS = {
    "04_molecules": SHARED / "data" / "molecules",
    "05_proteins": SHARED / "data" / "protein",
    "06_an_adapter": SHARED / "models" / "stories15M",
}
FAILED = re.compile(r"^gia: (?!val|train_eval|test)", re.MULTILINE)  # others are warnings
every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def outputs(notebook):
    """Of each cell of code, its texts and how many pictures it shows."""
    found = []
    for cell in notebook.cells:
        if cell.cell_type == "code":
            shown = cell.get("outputs", [])
            text = "".join(output.get("text", "") for output in shown)
            pictures = sum("image/png" in output.get("data", {}) for output in shown)
            found.append((text, pictures))
    return found


@pytest.mark.slow
@every_notebook
def test_notebook_runs(path, tmp_path, monkeypatch):
    needed = NEEDS.get(path.stem)
    if needed is not None and not needed.exists():
        pytest.skip(f"{needed} is not there")
    monkeypatch.setenv("GIA_DATA", str(SHARED / "data"))
    monkeypatch.setenv("GIA_MODELS", str(SHARED / "models"))
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    notebook = nbformat.read(path, as_version=4)
    kept = outputs(notebook)
    NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    ).execute()  # raises what a cell raises
    made = outputs(notebook)
    assert not [text for text, _ in made if "Traceback" in text or FAILED.search(text)]
    assert [pictures for _, pictures in made] == [pictures for _, pictures in kept]
    assert all(now or not before for (now, _), (before, _) in zip(made, kept, strict=True))


@every_notebook
def test_what_a_notebook_holds(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    shown = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert shown
    assert not [output for output in shown if output.output_type == "error"]
    assert not [text for text, _ in outputs(notebook) if "Traceback" in text or "it/s" in text]
    whole = path.read_text(encoding="utf-8")
    places = ("/home/", "/root/", "/tmp/", "/Users/", str(ROOT), str(SHARED))
    assert not [place for place in places if place in whole]
    assert len(whole) < 800_000
