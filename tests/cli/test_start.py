"""What a command loads before there is anything to do."""

import subprocess
import sys

import pytest
from conftest import ROOT

HEAVY = {"torch", "pytorch_lightning", "torch_geometric", "numpy", "pandas", "scipy", "sklearn"}
CODE = """
import atexit, sys
atexit.register(lambda: print("LOADED", *sys.modules))
sys.argv = {argv!r}
from gia.cli import main
main()
"""


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["train", "--help"], ["predict", "--help"], ["train", "--cfg", "job"]],
    ids=" ".join,
)
def test_help_and_configurations_need_no_heavy_library(arguments, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", CODE.format(argv=["gia", *arguments])],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    text, _, loaded = done.stdout.rpartition("LOADED")
    assert "ckpt_path" in text
    assert "hydra" in loaded.split()
    assert not HEAVY & {name.partition(".")[0] for name in loaded.split()}
