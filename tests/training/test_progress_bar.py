"""What a training says in a log file, where no bar can move."""

import re

import pytest
import rich
from runs import EVERY_CHECKPOINT, peptides_fasta, small_run

from gia.training import ProgressBar, run_of

BAR = "callbacks.progress_bar={_target_:gia.training.ProgressBar,every:0}"
LINE = (
    r"  epoch (\d+) of (\d+), step (\d+), train/loss [\d.]+(, val/loss [\d.]+)?"
    r"; \d+ s(, about .* left)?"
)


@pytest.fixture(scope="module")
def fasta(tmp_path_factory):
    return peptides_fasta(tmp_path_factory.mktemp("peptides"))


def lines(text):
    return [line for line in text.splitlines() if line.startswith("  epoch ")]


def test_lines_of_epochs_and_steps(fasta, tmp_path, capsys):
    run_of(small_run(tmp_path / "run", fasta, BAR, "trainer.max_epochs=2")).fit()
    said = capsys.readouterr().out
    found = [re.fullmatch(LINE, line) for line in lines(said)]
    assert found
    assert all(found)
    assert {match[1] for match in found} == {"1", "2"}
    steps = [int(match[3]) for match in found]
    assert steps == sorted(steps)
    assert re.search(rf"  trained for {steps[-1]} steps in \d+ s\n", said)
    assert "━" not in said  # no bar


def test_steps_alone(fasta, tmp_path, capsys):
    settings = ["trainer.max_epochs=-1", "trainer.max_steps=3"]
    run_of(small_run(tmp_path / "run", fasta, BAR, *settings)).fit()
    said = capsys.readouterr().out
    assert "  step 1 of 3, train/loss" in said
    assert "trained for 3 steps" in said


def test_a_resumed_run_counts_its_own_time(fasta, tmp_path, capsys):
    first = small_run(tmp_path / "one", fasta, *EVERY_CHECKPOINT, BAR, "trainer.max_epochs=2")
    run_of(first).fit()
    capsys.readouterr()
    again = small_run(
        tmp_path / "two", fasta, BAR, "trainer.max_epochs=2",
        f"ckpt_path={tmp_path}/one/checkpoints/epoch0.ckpt",
    )  # fmt: skip
    run_of(again).fit()
    found = [re.fullmatch(LINE, line) for line in lines(capsys.readouterr().out)]
    assert {match[1] for match in found} == {"2"}
    assert all(match[5] for match in found[:-2])  # what is left


def test_short_trainings_say_one_line(fasta, tmp_path, capsys):
    bar = "callbacks.progress_bar={_target_:gia.training.ProgressBar}"
    run_of(small_run(tmp_path / "run", fasta, bar, "trainer.max_epochs=1")).fit()
    said = capsys.readouterr().out
    assert lines(said) == []
    assert "trained for" in said


def test_a_terminal_has_the_bar(fasta, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(rich.get_console(), "_force_terminal", True)
    run_of(small_run(tmp_path / "run", fasta, BAR, "trainer.max_epochs=1")).fit()
    said = capsys.readouterr().out
    assert lines(said) == []
    assert "Epoch" in said


@pytest.mark.parametrize("every", [-1, "x"])
def test_seconds_that_are_none(every):
    with pytest.raises(ValueError, match="every must be a number of at least 0, got"):
        ProgressBar(every=every)
