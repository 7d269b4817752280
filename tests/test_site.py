"""The documentation as a site: it builds without a warning, and formulas and roles are rendered."""

import importlib.util
import os
import re
import subprocess
import sys

import pytest
from conftest import ROOT

pytest.importorskip("mkdocs", reason="mkdocs is not installed")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder],
        cwd=ROOT, capture_output=True, text=True, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder


def pages(folder):
    return {path.relative_to(folder).as_posix(): path for path in folder.rglob("*.html")}


def test_every_page_is_there(site):
    found = pages(site)
    for page in (ROOT / "docs").rglob("*.md"):
        name = page.relative_to(ROOT / "docs").with_suffix(".html").as_posix()
        assert name in found
    assert {"index.html", "CHANGELOG.html", "benchmarks/RESULTS.html"} <= found.keys()
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        text = found[f"notebooks/{path.stem}.html"].read_text()
        assert "\x1b[" not in text
        assert ".ipynb" not in text
    for name in ("nn", "attention", "graph", "data", "adapters", "analysis", "tasks", "training"):
        assert f"reference/gia.{name}.html" in found


def test_nothing_is_fetched_from_elsewhere(site):
    for path in pages(site).values():
        text = path.read_text()
        assert not re.search(r"<(script|link|img)[^>]+(src|href)=[\"']https?://", text), path


def test_formulas_and_roles_are_rendered(site):
    for name, path in pages(site).items():
        text = re.sub(r"<(pre|code).*?</\1>", "", path.read_text(), flags=re.DOTALL)
        assert "arithmatex" not in text, name
        assert not re.search(r":(class|func|meth|math|attr):`", text), name
    assert "<math" in (site / "fine_tuning.html").read_text()
    assert "<math" in (site / "reference/gia.nn.html").read_text()


def test_every_public_name_is_in_the_reference(site):
    for name in ("nn", "attention", "graph", "adapters", "analysis"):
        text = (site / f"reference/gia.{name}.html").read_text()
        package = importlib.import_module(f"gia.{name}")
        missing = [
            entry
            for entry in package.__all__
            if not re.search(rf'id="gia\.{name}\.(\w+\.)*{entry}"', text)
        ]
        assert not missing


def test_every_option_is_in_the_reference(site):
    text = (site / "reference/configuration.html").read_text()
    for path in (ROOT / "conf").rglob("*.yaml"):
        if path.stem[0] != "_" and path.parent != ROOT / "conf":
            assert f">{path.parent.name}={path.stem}<" in text.replace("&para;", "")
    assert ">gia inspect<" in text


@pytest.fixture(scope="module")
def hook():
    spec = importlib.util.spec_from_file_location("docs_site", ROOT / "tools/docs_site.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (":class:`~gia.nn.Stack` of :func:`f`", "`Stack` of `f`"),
        (r"the sum :math:`\sum_j A_{ij}`", r"the sum $\sum_j A_{ij}$"),
        ("`Dunn et al. <https://a.b/c>`_ do", "[Dunn et al.](https://a.b/c) do"),
        ("a\n\n.. math::\n    x = y,\n    z\n\nb", "a\n\n$$\nx = y,\nz\n$$\n\nb"),
        ("``x`` stays", "``x`` stays"),
    ],
)
def test_markup_of_docstrings(hook, text, expected):
    assert hook.plain(text) == expected
