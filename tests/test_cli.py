"""The console as a user meets it: real commands, real files, one clear message each."""

import contextlib
import csv
import functools
import json
import os
import resource
import signal
import subprocess
import sys
import time

import pytest
import torch
from conftest import ROOT
from runs import SMALL, in_fresh_process, peptides_fasta

from gia import __version__

GIA = [sys.executable, "-m", "gia.cli"]
TRAIN = [sys.executable, str(ROOT / "train.py")]
FAST = [*SMALL, "trainer.max_epochs=2", "data.tokens_per_batch=1024"]
LEFT_BEHIND = {
    "config.yaml", "metrics.csv", "splits.csv", "summary.json", "checkpoints",
    "learning_curves.png", "learning_curves.svg", "attention_heat_map.png",
    "attention_heat_map.svg", "attention_graph.png", "attention_graph.svg",
}  # fmt: skip


def gia(*arguments, cwd, check=True):
    done = in_fresh_process(*map(str, arguments), cwd=cwd)
    if check:
        assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A finished run on a FASTA file, by ``python train.py``."""
    folder = tmp_path_factory.mktemp("cli")
    fasta = peptides_fasta(folder)
    arguments = ["data=fasta", f"data.path={fasta}", *FAST, f"run_dir={folder / 'run'}"]
    done = subprocess.run([*TRAIN, *arguments], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder, fasta, done


def test_training_leaves_everything_behind(trained):
    folder, _, done = trained
    run = folder / "run"
    assert {path.name for path in run.iterdir()} == LEFT_BEHIND
    assert {path.name for path in (run / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}
    assert done.stdout.splitlines()[-1] == "everything is in run"
    assert "GINAttention" in done.stdout
    assert "5-gram, interpolated" in done.stdout
    summary = json.loads((run / "summary.json").read_text())
    assert 0 < summary["test"]["loss"] < 4
    assert summary["test"]["bits"] == pytest.approx(summary["test"]["loss"] / 0.6931472, rel=1e-5)
    assert len(summary["ngram_test_loss"]) == 5
    assert summary["epochs"] == 2
    assert summary["tokens_per_second"] > 0
    with (run / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    gaps = [row for row in rows if row["generalisation_gap"]]
    assert len(gaps) == 2
    for row in gaps:
        difference = float(row["val/loss"]) - float(row["train_eval/loss"])
        assert float(row["generalisation_gap"]) == pytest.approx(difference, abs=1e-5)


def test_evaluate_repeats_the_test(trained):
    folder, fasta, _ = trained
    best = folder / "run" / "checkpoints" / "best.ckpt"
    summary = json.loads((folder / "run" / "summary.json").read_text())
    done = gia("evaluate", f"ckpt_path={best}", cwd=folder)
    assert f"{summary['test']['loss']:.4f}" in done.stdout
    # The test sequences as a file of their own give the same numbers.
    with (folder / "run" / "splits.csv").open() as file:
        tested = {row["name"] for row in csv.DictReader(file) if row["split"] == "test"}
    entries = [entry for entry in fasta.read_text().split(">")[1:] if entry.split()[0] in tested]
    (folder / "other.fasta").write_text("".join(f">{entry}" for entry in entries))
    other = ["data=fasta", f"data.path={folder / 'other.fasta'}", "part=all"]
    assert (
        f"{summary['test']['loss']:.4f}"
        in gia("evaluate", f"ckpt_path={best}", *other, cwd=folder).stdout
    )


def test_generate_writes_sequences(trained):
    folder, *_ = trained
    best = f"ckpt_path={folder / 'run' / 'checkpoints' / 'best.ckpt'}"
    arguments = ["generate", best, "prompt=GLW", "num_samples=3", "max_new_tokens=12"]
    lines = gia(*arguments, cwd=folder).stdout.split()
    assert lines[::2] == [">sample_1", ">sample_2", ">sample_3"]
    for sequence in lines[1::2]:
        assert sequence.startswith("GLW")
        assert set(sequence) <= set("ACDEFGHIKLMNPQRSTVWY")
        assert len(sequence) <= 15
    assert gia(*arguments, cwd=folder).stdout.split() == lines
    assert gia(*arguments, "seed=1", cwd=folder).stdout.split() != lines
    gia(*arguments, "out=new.fasta", cwd=folder)
    assert (folder / "new.fasta").read_text().split() == lines


def test_a_language_model_predicts_no_targets(trained):
    folder, fasta, _ = trained
    best = f"ckpt={folder / 'run' / 'checkpoints' / 'best.ckpt'}"
    done = gia("predict", best, f"data.path={fasta}", cwd=folder, check=False)
    assert done.returncode == 1
    assert "is a language model, which predicts no targets: use gia generate" in done.stderr
    assert not (folder / "peptides_predicted.csv").exists()


def test_resume_goes_on_from_the_last_checkpoint(trained):
    folder, fasta, _ = trained
    last = folder / "run" / "checkpoints" / "last.ckpt"
    arguments = ["train", "data=fasta", f"data.path={fasta}", *FAST, f"ckpt_path={last}"]
    gia(*arguments, "trainer.max_epochs=3", "run_dir=resumed", cwd=folder)
    summary = json.loads((folder / "resumed" / "summary.json").read_text())
    assert summary["epochs"] == 3  # the curves are whole
    state = torch.load(folder / "resumed" / "checkpoints" / "last.ckpt", weights_only=True)
    assert state["epoch"] == 2


def test_a_finished_run_can_be_resumed_without_more_training(trained):
    folder, fasta, _ = trained
    last = folder / "run" / "checkpoints" / "last.ckpt"
    arguments = ["train", "data=fasta", f"data.path={fasta}", *FAST, f"ckpt_path={last}"]
    gia(*arguments, "run_dir=again", cwd=folder)
    first, second = (
        json.loads((folder / name / "summary.json").read_text()) for name in ("run", "again")
    )
    assert second["test"] == pytest.approx(first["test"])


@pytest.mark.slow
def test_a_compiled_model_trains_alike(trained, tmp_path):
    folder, fasta, _ = trained
    arguments = ["train", "data=fasta", f"data.path={fasta}", *FAST, "run_dir=run"]
    gia(*arguments, "model.compile=true", cwd=tmp_path)
    losses = [
        json.loads((path / "run" / "summary.json").read_text())["test"]["loss"]
        for path in (folder, tmp_path)
    ]
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)


@pytest.mark.parametrize("precision", ["bf16-mixed", "bf16-true", "64-true"])
def test_every_precision_trains(trained, precision, tmp_path):
    folder, fasta, _ = trained
    arguments = ["train", "data=fasta", f"data.path={fasta}", *FAST, "run_dir=run"]
    gia(*arguments, f"trainer.precision={precision}", cwd=tmp_path)
    losses = [
        json.loads((path / "run" / "summary.json").read_text())["test"]["loss"]
        for path in (folder, tmp_path)
    ]
    assert losses[1] == pytest.approx(losses[0], rel=0.02)


def test_multirun_gives_each_job_a_folder(trained, tmp_path):
    _, fasta, _ = trained
    arguments = ["train", "-m", "data=fasta", f"data.path={fasta}", *FAST, "run_dir=runs"]
    gia(*arguments, "attention=gin,softmax", "debug=fast", cwd=tmp_path)
    for job, name in enumerate(["GINAttention", "SoftmaxAttention"]):
        assert name in (tmp_path / "runs" / str(job) / "config.yaml").read_text()
        assert (tmp_path / "runs" / str(job) / "checkpoints" / "best.ckpt").is_file()


BAD = {
    "no file": (["data.path=none.fasta"], "data.path=none.fasta does not exist"),
    "a folder": (["data.path=."], "data.path=. is a directory"),
    "empty": (["data.path=empty.fasta"], "empty"),
    "no fasta": (["data.path=plain.txt"], "plain.txt"),
    "strict": (["data.path=odd.fasta", "data.strict=true"], "'1' (1)"),
    "heads": (["model.heads=3"], "3 heads, 16 wide"),
    "odd channels": (["model.width=6", "model.heads=2"], "even number of channels per head, got 3"),
    "budget": (["data.tokens_per_batch=10"], "data.tokens_per_batch=10 is below"),
    "split": (["data.split=families"], "random, scaffold, similarity, contiguous"),
    "reference": (
        ["model.match_parameters_of=best"],
        "pyg, softmax or null, got 'best'",
    ),
    "no checkpoint": (["ckpt_path=none.ckpt"], "no checkpoint none.ckpt"),
    "another architecture": (
        ["ckpt_path=run/checkpoints/last.ckpt", "attention=softmax"],
        "holds another architecture: blocks.0.attention.",
    ),
    "another split": (
        ["ckpt_path=run/checkpoints/last.ckpt", "data.split=random"],
        "trained on another split",
    ),
    "an old folder": (["run_dir=run"], "run_dir run already holds a run"),
    "precision": (["trainer.precision=7"], "Precision 7 is invalid"),
    "experiment": (["experiment=none"], "peptide_lm"),
    "option": (["model.widht=3"], "widht"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_gets_one_clear_message(trained, case):
    folder, fasta, _ = trained
    (folder / "empty.fasta").write_text("")
    (folder / "plain.txt").write_text("no header here\n")
    (folder / "odd.fasta").write_text(fasta.read_text() + ">odd\nGLW1K\n")
    before = {path: path.stat().st_mtime_ns for path in (folder / "run").rglob("*")}
    overrides, message = BAD[case]
    paths = [f"data.path={fasta}", "run_dir=new/run"]
    done = gia("train", "data=fasta", *paths, *FAST, *overrides, cwd=folder, check=False)
    assert done.returncode == 1
    assert message in done.stderr + done.stdout
    assert "Traceback" not in done.stderr + done.stdout
    assert {path: path.stat().st_mtime_ns for path in (folder / "run").rglob("*")} == before
    assert not (folder / "new").exists()


def test_a_table_with_a_target_has_its_own_data(tmp_path):
    (tmp_path / "t.csv").write_text("name,sequence,value\na,GLW,1\n")
    arguments = ["data=csv", "data.path=t.csv", "data.sequence_column=sequence", "name=t"]
    done = gia("train", *arguments, "data.target_column=value", cwd=tmp_path, check=False)
    assert done.returncode == 1
    assert "use data=labelled_csv with the same columns" in done.stderr + done.stdout


def test_a_missing_column_is_answered_with_the_ones_there_are(tmp_path):
    (tmp_path / "t.csv").write_text("name,Sequence,value\na,GLW,1\n")
    arguments = ["data=csv", "data.path=t.csv", "data.sequence_column=sequence", "name=t"]
    done = gia("train", *arguments, cwd=tmp_path, check=False)
    assert done.returncode == 1
    assert "Its columns: name, Sequence, value" in done.stderr
    assert "data.sequence_column=Sequence?" in done.stderr


def test_what_only_the_user_can_know_is_asked_for(tmp_path):
    done = gia("train", "data=csv", cwd=tmp_path, check=False)
    assert "data.path is missing: give data.path=..." in done.stderr
    assert "data.sequence_column is missing" in done.stderr
    for command in ("evaluate", "predict"):
        assert "ckpt_path is missing" in gia(command, cwd=tmp_path, check=False).stderr


def test_ctrl_c_says_how_to_go_on(trained, tmp_path):
    _, fasta, _ = trained
    arguments = ["train", "data=fasta", f"data.path={fasta}", *FAST, "trainer.max_epochs=500"]
    run = subprocess.Popen(
        [*GIA, *arguments, "run_dir=run", "callbacks.early_stopping=null"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        # Tests that a shell runs in the background pass on that they ignore it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    last = tmp_path / "run" / "checkpoints" / "last.ckpt"
    for _ in range(600):
        if last.is_file() or run.poll() is not None:
            break
        time.sleep(0.1)
    for patience in (20, 20, 60):  # Python drops a signal that comes while it clears up an object
        os.kill(run.pid, signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            _, errors = run.communicate(timeout=patience)
            break
    assert run.returncode == 130
    assert "interrupted; this goes on from there:\ngia train data=fasta" in errors
    assert errors.splitlines()[-1].endswith(" ckpt_path=run/checkpoints/last.ckpt")
    assert "Traceback" not in errors
    assert "state_dict" in torch.load(last, weights_only=True)


def test_a_full_disk_is_told_and_nothing_is_half_written(trained, tmp_path):
    """A real failed write: the system refuses files larger than the checkpoint needs."""
    _, fasta, _ = trained
    limit = 120_000
    arguments = ["data=fasta", f"data.path={fasta}", *FAST, "model.width=64", "run_dir=run"]
    done = subprocess.run(
        [*TRAIN, *arguments], cwd=tmp_path, capture_output=True, text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )  # fmt: skip
    assert done.returncode == 1
    assert "cannot write the checkpoint" in done.stderr
    assert "make room or choose another folder" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list((tmp_path / "run" / "checkpoints").iterdir())


def test_help_helps(tmp_path):
    text = gia("--help", cwd=tmp_path).stdout
    commands = ("train", "evaluate", "predict", "embed", "generate")
    assert all(f"gia {command}" in text for command in commands)
    for command in commands:
        text = gia(command, "--help", cwd=tmp_path).stdout
        assert "ckpt_path=" in text
        assert f"\n  gia {command}" in text or "\n  python train.py" in text
    done = gia("fly", cwd=tmp_path, check=False)
    assert done.returncode == 1
    assert "no command 'fly'" in done.stderr
    assert not list(tmp_path.iterdir())


def test_what_reads_whole_sequences_does_not_write_them(tmp_path):
    peptides_fasta(tmp_path)
    data = ["data=fasta", "data.path=peptides.fasta", "model=cnn", "run_dir=run"]
    done = gia("train", *data, cwd=tmp_path, check=False)
    assert done.returncode == 1
    assert "and so what it is to write: give task=masked" in done.stderr


def test_versions_and_what_is_installed(tmp_path):
    assert gia("--version", cwd=tmp_path).stdout == f"gia {__version__}\n"
    said = gia("info", cwd=tmp_path).stdout
    for name in ("python", "torch ", "extra llm", "cpu", "threads", "cuda", "GIA_CACHE"):
        assert name in said
    assert "takes no settings" in gia("info", "--help", cwd=tmp_path).stdout
    wrong = gia("info", "all=1", cwd=tmp_path, check=False)
    assert wrong.returncode == 1
    assert "takes no settings" in wrong.stderr


def at_a_terminal(program, *arguments, cwd, **env):
    """What a command writes where its output is a terminal."""
    leader, follower = os.openpty()
    process = subprocess.Popen(
        [*program, *arguments], cwd=cwd, stdin=subprocess.DEVNULL, stdout=follower, stderr=follower,
        env={**os.environ, **env},
    )  # fmt: skip
    os.close(follower)
    text = b""
    with contextlib.suppress(OSError):  # there is no other end any more
        while part := os.read(leader, 65536):
            text += part
    os.close(leader)
    assert process.wait() == 0, text.decode()
    return text.decode()


def test_a_terminal_has_bars_and_a_cell_of_a_notebook_lines(tmp_path):
    peptides_fasta(tmp_path)
    small = [one for one in FAST if "progress_bar" not in one]
    arguments = ["data=fasta", "data.path=peptides.fasta", *small]
    run = functools.partial(at_a_terminal, cwd=tmp_path, TERM="xterm")
    assert "it/s" in run([*GIA, "train"], *arguments, "run_dir=one")
    found = run(TRAIN, *arguments, "run_dir=two", JPY_PARENT_PID="1")
    assert "it/s" not in found
    assert "trained for" in found


@pytest.mark.parametrize(
    "run_dir",
    [
        "deep/er/run",
        pytest.param(None, marks=pytest.mark.slow),
        pytest.param("../beside/run", marks=pytest.mark.slow),
    ],
)
def test_an_empty_folder_outlives_a_command_that_fails_in_it(tmp_path, run_dir):
    folder = tmp_path / "empty"
    folder.mkdir()
    (tmp_path / "beside").mkdir()
    chosen = [] if run_dir is None else [f"run_dir={run_dir}"]
    # A process of its own, whose output is no file in the folder.
    arguments = [*GIA, "train", "data=counting", "data.dataset.number=1", *chosen]
    done = subprocess.run(arguments, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 1
    assert "is one graph" in done.stderr
    assert list(folder.iterdir()) == []
    assert list((tmp_path / "beside").iterdir()) == []
