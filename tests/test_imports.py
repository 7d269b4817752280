"""Imports run one way, and heavy libraries stay where they belong."""

import ast
import subprocess
import sys

import networkx as nx
import pytest
from conftest import ROOT

# From the ground up: a room imports itself and what stands before it.
FLOORS = [
    "typing", "ops", "data", "graph", "attention", "nn", "adapters", "analysis", "tasks",
    "training", "search", "cli", "gia_duel",
]  # fmt: skip
# Libraries that only some rooms may import: a tokenizer is data, its model has adapters.
DOMAIN = {
    ("data",): {"modlamp", "Bio", "rdkit", "chemicals", "pymatgen", "matminer", "ase"},
    ("data", "adapters"): {"transformers", "tokenizers"},
    ("adapters",): {"peft"},
}
MODULES = sorted(path for top in ("gia", "gia_duel") for path in (ROOT / top).rglob("*.py"))


def room(path):
    top, inner = path.relative_to(ROOT).parts[:2]
    return inner.removesuffix(".py") if top == "gia" else top


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
        assert top != "gia_duel" or here in ("cli", "gia_duel"), f"{here} imports {top}"
        for owners, libraries in DOMAIN.items():
            assert top not in libraries or here in owners, f"{here} imports {top}"


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


def module_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def targets(path, known):
    """The modules of ours that a file imports: ``from a.b import c`` may name the module a.b.c."""
    for node in ast.walk(ast.parse(path.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            inside = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in known else node.module for name in inside]
        yield from (name for name in names if name in known)


def test_no_module_imports_itself_by_way_of_others():
    """Also not for types alone: two modules that need each other are one, or lack a third."""
    known = {module_of(path): path for path in MODULES}
    graph = nx.DiGraph()
    for name, path in known.items():
        graph.add_edges_from((name, other) for other in targets(path, known) if other != name)
    assert graph.number_of_edges() > 100
    circles = [sorted(group) for group in nx.strongly_connected_components(graph) if len(group) > 1]
    assert not circles


def test_the_command_starts_without_pandas():
    code = "import sys, gia.cli, gia.conf; assert 'pandas' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_pandas_is_imported_where_a_table_is_read():
    for path in (ROOT / "gia").rglob("*.py"):
        top = {name for node in ast.parse(path.read_text()).body for name in _named(node)}
        assert "pandas" not in top, f"{path} imports pandas at its top"


def _named(node):
    if isinstance(node, ast.Import):
        return [alias.name.split(".")[0] for alias in node.names]
    return [(node.module or "").split(".")[0]] if isinstance(node, ast.ImportFrom) else []
