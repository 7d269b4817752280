"""The Python in the documentation runs, and what it points to exists."""

import importlib
import re

import pytest
from conftest import ROOT
from decoders import decoder

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def a_small_tokenizer(name):
    """Words, all of them unknown but for the punctuation."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel({"<unk>": 2, ".": 3}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    names = ["input_ids", "attention_mask"]
    return PreTrainedTokenizerFast(tokenizer_object=words, model_input_names=names)


@pytest.fixture
def nothing_is_downloaded(monkeypatch):
    """A pretrained model is a small one with random weights, whatever its name."""
    transformers = pytest.importorskip("transformers")
    for kind, make in (
        ("AutoModelForCausalLM", lambda name: decoder("llama")),
        ("AutoTokenizer", a_small_tokenizer),
    ):
        monkeypatch.setattr(getattr(transformers, kind), "from_pretrained", make)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_blocks_run(page, request, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    if any("from_pretrained" in block for block in blocks):
        request.getfixturevalue("nothing_is_downloaded")
    namespace = {}
    for block in blocks:
        exec(compile(block, page.name, "exec"), namespace)
    assert bool(blocks) == bool(namespace)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)#]+)", page.read_text()):
        assert link.startswith("https://") or (page.parent / link).exists(), link


def test_every_option_of_the_data_is_documented():
    text = (ROOT / "docs" / "data.md").read_text()
    for name in ("_sequences", "_characters"):
        for line in (ROOT / "conf" / "data" / f"{name}.yaml").read_text().splitlines():
            option = re.match(r"([a-z_]+):(?! *$)", line)
            if option:
                assert f"`{option[1]}`" in text, option[1]


@pytest.mark.parametrize("group", ["scope", "score", "normalize", "sparsify", "given"])
def test_every_graph_is_documented(group):
    text = (ROOT / "docs" / "graphs.md").read_text()
    options = [path.stem for path in (ROOT / "conf" / group).glob("*.yaml")]
    assert options
    for option in options:
        assert f"`{group}={option}`" in text, f"{group}={option}"


def test_every_graph_is_pictured(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "docs")
    modes = {
        option
        for options in importlib.import_module("draw_graphs").MODES.values()
        for option in options
    }
    # Those that need other weights or other data are not.
    missing = {"score=pair_network", "score=edge_attr", "score=graph"}
    for group in ("score", "normalize", "sparsify"):
        for path in (ROOT / "conf" / group).glob("*.yaml"):
            default = path.stem in ("dot_product", "softmax", "none")
            choice = f"{group}={path.stem}"
            assert default or (choice in modes) != (choice in missing), choice
