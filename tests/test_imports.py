"""Imports run one way, and heavy libraries stay where they belong."""

import ast
import subprocess
import sys

import pytest
from conftest import ROOT

# From the ground up: a room imports itself and what stands before it.
FLOORS = [
    "typing", "ops", "data", "graph", "attention", "nn", "adapters", "tasks", "training",
    "analysis", "cli",
]  # fmt: skip
# Libraries that only one room may import.
DOMAIN = {
    "data": {"modlamp", "Bio", "rdkit", "chemicals", "pymatgen", "matminer", "ase"},
    "adapters": {"transformers", "peft"},
}
MODULES = sorted((ROOT / "gia").rglob("*.py"))


def room(path):
    return path.relative_to(ROOT / "gia").parts[0].removesuffix(".py")


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield node.module


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_run_downwards(path):
    here = room(path)
    for name in imports(path):
        top, _, rest = name.partition(".")
        if top == "gia" and rest and here != "__init__":
            there = rest.split(".")[0]
            if there != "conf":
                assert FLOORS.index(there) <= FLOORS.index(here), f"{here} imports {there}"
        # Comparisons use the library, and it knows nothing of them.
        assert top != "gia_duel" or here == "cli", f"{here} imports {top}"
        for owner, libraries in DOMAIN.items():
            assert top not in libraries or here == owner, f"{here} imports {top}"


def test_domain_libraries_are_imported_lazily():
    # PyG itself imports transformers where it is installed: what is loaded by then is not ours.
    code = (
        "import sys, torch_geometric.nn, pytorch_lightning, torchmetrics; before = {*sys.modules};"
        "import gia.analysis, gia.cli, gia.data; print(*sys.modules.keys() - before)"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    assert "gia.data.datasets.fasta" in loaded.stdout.split()
    assert not set.union(*DOMAIN.values()) & set(loaded.stdout.split())
