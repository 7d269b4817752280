"""The line that resumes a run can be pasted, whatever was given."""

import os
import re
import shlex
import subprocess
import sys

import pytest
from conftest import ROOT
from runs import SMALL, peptides_fasta

# The command with an interruption after the first epoch, as by Ctrl-C.
STOPPED = """
import sys
from pytorch_lightning import Callback
class Stop(Callback):
    def on_train_epoch_end(self, trainer, module):
        if trainer.current_epoch == 1:
            raise KeyboardInterrupt
sys.modules["stop"] = sys.modules["__main__"]
from gia.cli import main
sys.argv = ["gia", *sys.argv[1:]]
main()
"""


def stopped(folder, *arguments):
    done = subprocess.run(
        [sys.executable, "-c", STOPPED, *arguments],
        cwd=folder, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 130, done.stdout + done.stderr
    said, line = done.stderr.splitlines()[-2:]
    assert said == "gia: interrupted; this goes on from there:"
    return line


@pytest.mark.slow
def test_the_printed_line_resumes(tmp_path):
    peptides_fasta(tmp_path).rename(tmp_path / "my (1) [odd], it's.fasta")
    (tmp_path / "own conf").mkdir()
    arguments = [
        "train", "--config-dir=own conf", "data=fasta", "data.path=my (1) [odd], it's.fasta",
        *SMALL, "name=a=b (°C)", "trainer.max_epochs=3", "run_dir=runs/x=1 [y], z",
        "data.tokens_per_batch=1024", "+callbacks.stop._target_=stop.Stop", "trust=stop.Stop",
    ]  # fmt: skip
    line = stopped(tmp_path, *arguments)
    assert line.startswith("gia train '--config-dir=")
    assert "'ckpt_path=runs/x=1 [y], z/checkpoints/last.ckpt'" in line
    assert "run_dir" not in line
    # Pasted into a shell, with `gia` as this checkout has it.
    line = line.replace(" +callbacks.stop._target_=stop.Stop", "")
    gia = f'gia() {{ {shlex.quote(sys.executable)} -m gia.cli "$@"; }}; '
    done = subprocess.run(
        ["bash", "-c", gia + line],
        cwd=tmp_path, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    folder = re.search(r"everything is in (.*)", done.stdout)[1]
    assert folder.startswith("runs/a=b (°C)/")
    assert (tmp_path / folder / "summary.json").is_file()
