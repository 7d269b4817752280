"""What `mkdocs build` needs beyond the pages: formulas, and pages that are made of the code.

Pages of their own are the README, the changes, the benchmarks' results, the notebooks, a reference
of all configuration files, and one of each package out of its docstrings.
"""

import ast
import re
from pathlib import Path

import griffe
import yaml
from latex2mathml.converter import convert
from mkdocs.structure.files import File
from nbconvert import MarkdownExporter

ROOT = Path(__file__).parents[1]
PACKAGES = ("nn", "attention", "graph", "data", "adapters", "analysis", "tasks", "training")
# Files from elsewhere that are pages, and what stands beside them.
PAGES = ("CHANGELOG.md", "benchmarks/*.md", "benchmarks/images/*")
COLOURS = re.compile(r"\x1b\[[0-9;]*m")  # of a terminal
FORMULA = re.compile(
    r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL
)  # as arithmatex leaves it
ENTITIES = {"&lt;": "<", "&gt;": ">", "&amp;": "&", "&quot;": '"'}


def on_files(files, config):
    """Add the pages that lie elsewhere or are made of the code."""
    texts = {"index.md": (ROOT / "README.md").read_text(encoding="utf-8")}
    texts["reference/configuration.md"] = configuration()
    for name in PACKAGES:
        texts[f"reference/gia.{name}.md"] = reference(name)
    for uri, text in texts.items():
        files.append(File.generated(config, uri, content=text))
    for pattern in PAGES:
        for path in sorted(ROOT.glob(pattern)):
            uri = path.relative_to(ROOT).as_posix()
            files.append(File.generated(config, uri, abs_src_path=str(path)))
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        text, pictures = notebook(path)
        files.append(File.generated(config, f"notebooks/{path.stem}.md", content=text))
        for name, content in pictures.items():
            files.append(File.generated(config, f"notebooks/{name}", content=content))
    return files


def on_page_markdown(markdown, page, **_):
    """Links between the documentation and what lies beside it lead to pages of the site."""
    markdown = markdown.replace("](../benchmarks/", "](benchmarks/").replace("](docs/", "](")
    if page.file.src_uri.startswith("notebooks/"):
        markdown = markdown.replace("](../docs/", "](../")
    return re.sub(r"\]\(([\w./]*)\.ipynb", r"](\1.md", markdown)


def notebook(path):
    """A notebook and its outputs as a page, and the pictures of it."""
    exporter = MarkdownExporter()
    text, resources = exporter.from_filename(
        str(path), resources={"unique_key": path.stem, "output_files_dir": path.stem}
    )
    text = re.sub(r"<style scoped>.*?</style>", "", text, flags=re.DOTALL)
    return COLOURS.sub("", text), resources["outputs"]


def on_page_content(html, **_):
    """Formulas as MathML, which browsers draw without a script."""
    return FORMULA.sub(_formula, html)


def _formula(match):
    text = match[2]
    for entity, letter in ENTITIES.items():
        text = text.replace(entity, letter)
    return convert(text.strip(), display="block" if match[1] == "div" else "inline")


def reference(name):
    """What a package offers; a function that is named as its module is asked for by both names."""
    lines = [f"# gia.{name}", "", f"::: gia.{name}", ""]
    for entry in _imported(f"gia.{name}"):
        module = _module_of(f"gia.{name}", entry)
        named_alike = (ROOT / "gia" / name / f"{entry}.py").exists()
        if named_alike or module.endswith(f".{entry}"):
            options = ["    options:", "      show_root_heading: true", ""]
            lines += [f"::: {module}.{entry}", *options]
    return "\n".join(lines)


def _imported(package):
    """From where a package has each of its names."""
    file = ROOT / package.replace(".", "/") / "__init__.py"
    body = ast.parse(file.read_text(encoding="utf-8")).body if file.exists() else ()
    return {
        alias.name: statement.module
        for statement in body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }


def _module_of(package, name):
    """The module that defines a name, through all packages that hand it on."""
    module = _imported(package).get(name)
    return package if module is None else _module_of(module, name)


def configuration():
    """Every command and every option, out of the files that are composed."""
    lines = ["# Commands and configuration", ""]
    lines.append(
        "Each file is an option of its group, chosen by `gia train attention=pna`; its values are "
        "changed by `attention.eps=0`. `gia COMMAND --help` lists them as they are composed."
    )
    lines.append("")
    lines += ["## Commands", ""]
    for path in sorted((ROOT / "conf").glob("*.yaml")):
        lines += _file(path, f"gia {path.stem}")
    for folder in sorted(path for path in (ROOT / "conf").iterdir() if path.is_dir()):
        options = [path for path in sorted(folder.glob("*.yaml")) if path.stem[0] != "_"]
        if options:
            lines += [f"## {folder.name}", ""]
        for path in options:
            lines += _file(path, f"{folder.name}={path.stem}")
    return "\n".join(lines)


def _file(path, name):
    """A heading, what the file says it is for, and what is in it."""
    text = path.read_text(encoding="utf-8").removeprefix("# @package _global_\n")
    said = re.match(r"((?:#.*\n)+)", text)
    about = " ".join(line.lstrip("# ") for line in said[1].splitlines()) if said else ""
    rest = text[said.end() :] if said else text
    settings = yaml.safe_load(rest) or {}
    settings.pop("hydra", None)
    body = rest.split("\nhydra:")[0].rstrip() if settings else ""
    block = ["```yaml", body, "```", ""] if body else []
    return [f"### {name}", "", about, "", *block]


class PlainMarkup(griffe.Extension):
    """Docstrings are written for Sphinx as well: its roles become Markdown."""

    def on_instance(self, *, obj, **_):
        if obj.docstring is not None:
            obj.docstring.value = plain(obj.docstring.value)


def plain(text):
    """Roles, formulas and links of reStructuredText as Markdown."""
    text = re.sub(
        r"\.\. math::\n((?:[ \t]*\n)*)((?:[ ]+.*\n?)+)",
        lambda found: f"$$\n{_block(found[2])}\n$$\n",
        text,
    )
    text = re.sub(r":math:`([^`]+)`", r"$\1$", text, flags=re.DOTALL)
    text = re.sub(r":[a-z]+:`~?(?:[\w.]*\.)?(\w+)`", r"`\1`", text)
    return re.sub(r"`([^`<]+?)\s*<(https?://[^>]+)>`_+", r"[\1](\2)", text)


def _block(lines):
    return "\n".join(line.strip() for line in lines.strip().splitlines())
