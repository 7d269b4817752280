"""The laws as a command: a table, and status 1 where one is broken."""

import re

import pytest
from runs import gia, peptides_fasta, write_table

FAST = [
    *("model.width=16", "model.heads=2", "model.depth=2", "mlp.hidden=24"),
    *("callbacks.progress_bar=null", "logger.tensorboard=null", "trainer.max_epochs=1"),
]
SMILES = ["CCO", "c1ccccc1O", "CC(=O)O", "CCN", "C1CCCCC1", "CC(C)C", "COC", "CC#N"]
MOLECULES = [
    *("data=molecules", "data.path=molecules.csv", "data.smiles_column=smiles"),
    *("data.target_column=y", "data.features=null", "data.split=random"),
]
LAYERS = """
from torch import nn


class Leaky(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.linear = nn.Linear(16, hidden)

    def forward(self, x, edge_index):
        return self.linear(x - x.mean(0))


def number(hidden):
    return hidden
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("check")
    peptides_fasta(folder)
    rows = [[smiles + "C" * (i // 8), i] for i, smiles in enumerate(SMILES * 6)]
    write_table(folder / "molecules.csv", ["smiles", "y"], rows)
    (folder / "my_layers.py").write_text(LAYERS)
    return folder


def said(done):
    """What the table says of each law."""
    return dict(re.findall(r"│ (\w+) +│ (holds|BROKEN|-) ", done.stdout))


def test_a_trained_language_model(folder):
    data = ["data=fasta", "data.path=peptides.fasta"]
    gia("train", *data, *FAST, "run_dir=run", cwd=folder)
    done = gia("check", "ckpt_path=run/checkpoints/best.ckpt", cwd=folder)
    found = said(done)
    assert [law for law, told in found.items() if told == "-"] == ["order", "edges"]
    assert "BROKEN" not in found.values()
    assert "5 laws hold" in done.stdout
    assert not (folder / "runs").exists()


def test_models_as_they_are_configured(folder):
    pytest.importorskip("rdkit")
    for model in ("graph_transformer", "gps"):
        done = gia("check", *MOLECULES, f"model={model}", *FAST[:3], cwd=folder)
        assert "BROKEN" not in said(done).values()
        assert said(done)["edges"] == "holds"
        assert said(done)["later"] == "-"
    done = gia("check", *MOLECULES, "causal=true", "model.pool=null", cwd=folder, check=False)
    assert done.returncode == 1  # no such option


def test_the_first_of_an_ensemble(folder):
    pytest.importorskip("rdkit")
    gia("train", *MOLECULES, *FAST, "~blend", "ensemble=2", "run_dir=two", cwd=folder)
    done = gia("check", "ckpt_path=two/checkpoints/best.ckpt", cwd=folder)
    assert "of several models that are asked together it is the first" in done.stdout
    assert "GraphTransformer on graphs of" in done.stdout


def test_a_module_of_ones_own(folder):
    target = ["module._target_=my_layers.Leaky", "+module.hidden=5"]
    done = gia("check", *target, "graphs=3", cwd=folder, check=False)
    assert done.returncode == 1
    assert "on graphs of 7, 12, 5 nodes" in done.stdout
    assert said(done)["batch"] == "BROKEN"
    assert "broken: batch" in done.stdout


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (["module._target_=my_layers.Nothing"], "my_layers.Nothing"),
        (["module._target_=my_layers.number", "+module.hidden=3"], "makes a int, no nn.Module"),
        (["module._target_=torch.nn.Tanh", "ckpt_path=x"], "give either ckpt_path= or module="),
        (["ckpt_path=nothing.ckpt"], "there is no checkpoint nothing.ckpt"),
        (["module._target_=torch.nn.Tanh", "graphs=1"], "graphs must be a whole number of at"),
        (["module._target_=torch.nn.Tanh"], "Tanh cannot be called with these graphs"),
        ([*MOLECULES, "max_nodes=2"], "two items of 2 to 2 nodes"),
    ],
)
def test_what_cannot_be_checked(folder, settings, reason):
    done = gia("check", *settings, cwd=folder, check=False)
    assert done.returncode == 1
    assert reason in done.stderr
    assert "Traceback" not in done.stderr
