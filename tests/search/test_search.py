"""``gia search`` on real peptides: what it leaves, what it survives, what it never opens."""

import multiprocessing
import os
import re
import signal
import time

import pytest
import yaml

pytest.importorskip("optuna")

from runs import SMALL, _command, gia, peptides_fasta, read_table

TINY = [*SMALL[:5], "data=fasta", "data.tokens_per_batch=1024", "trainer.max_epochs=2"]
SEALED = "data._target_=mishaps.Sealed"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return f"data.path={peptides_fasta(tmp_path_factory.mktemp('data'))}"


def searched(folder, *arguments):
    return gia("search", *arguments, cwd=folder, OMP_NUM_THREADS="1").stdout


def trials(folder):
    return read_table(folder / "trials.csv")


def drawn(folder):
    """Settings and value of each trial in turn, whatever its number."""
    return [list(row.values())[1:4] + list(row.values())[6:] for row in trials(folder)]


@pytest.mark.slow
def test_a_search_ends_with_settings_that_train(data, tmp_path):
    said = searched(
        tmp_path, *TINY, data, SEALED, "trials=4", "run_dir=s x", "model.depth=choice(1,2)",
        "model.width=16", "name=odd",
    )  # fmt: skip
    rows = trials(tmp_path / "s x")
    assert [row["state"] for row in rows] == ["complete"] * 4
    # The settings as they are come first, and are no part of this space.
    assert rows[0]["model.depth"] == "2"
    assert "model.width" not in rows[0]
    values = [float(row["val/loss"]) for row in rows]
    best = values.index(min(values))
    assert f"val/loss {min(values):.4g}" in said
    settings = yaml.safe_load((tmp_path / "s x" / "best.yaml").read_text())
    assert settings[: len(TINY)] == [*TINY]
    assert f"model.depth={rows[best]['model.depth']}" in settings[len(TINY) :]
    for name in ("trials.png", "trials.svg", "importance.png", "study.db", "search.yaml"):
        assert (tmp_path / "s x" / name).is_file(), name
    assert not list((tmp_path / "s x").rglob("*.ckpt"))
    # The command that it prints, without the seal: the same training, and a test.
    line = re.search(r"gia train '(@.*best.yaml)'", said)[1]
    more = ["data._target_=gia.data.DataModule", "run_dir=trained", "callbacks.progress_bar=null"]
    gia("train", line, *more, cwd=tmp_path, OMP_NUM_THREADS="1")
    curve = read_table(tmp_path / "trained" / "metrics.csv")
    losses = [float(row["val/loss"]) for row in curve if row["val/loss"]]
    assert min(losses) == pytest.approx(min(values), rel=1e-4)


def test_the_seal_is_none_of_paper(data, tmp_path):
    arguments = [*TINY, data, SEALED, "run_dir=run", "callbacks.progress_bar=null"]
    done = gia("train", *arguments, cwd=tmp_path, check=False)
    assert done.returncode != 0
    assert "the test part was opened" in done.stderr


def test_trials_that_fail_are_told_and_the_search_goes_on(data, tmp_path):
    said = searched(
        tmp_path, *TINY, data, "trials=9", "jobs=2", "run_dir=s", "space=null",
        "model.width=choice(16,17,24,32,40)", "+callbacks.bad._target_=mishaps.ByWidth",
    )  # fmt: skip
    assert "the space holds 5 combinations" in said
    rows = {row["model.width"]: row for row in trials(tmp_path / "s")}
    assert len(rows) == 5
    assert {width: row["state"] for width, row in rows.items()} == {
        "16": "complete", "17": "failed", "24": "failed", "32": "failed", "40": "failed",
    }  # fmt: skip
    assert "must divide the width" in rows["17"]["reason"]
    assert rows["24"]["reason"] == "its process was killed, as happens where memory runs out"
    assert rows["32"]["reason"] == "MemoryError: cannot hold it"
    assert rows["40"]["reason"] == "val/loss is nan in epoch 1"  # the average's, by then
    assert "5 trials: 1 complete, 4 failed" in said


@pytest.mark.slow
def test_where_all_fail_it_ends_with_the_reason(data, tmp_path):
    arguments = [*TINY, data, "space=null", "model.width=choice(17,19)", "model.width=17"]
    arguments = [*arguments, "model.heads=2", "run_dir=s"]
    done = gia("search", *arguments, cwd=tmp_path, check=False)
    assert done.returncode == 1
    said = "gia: no trial has come to its end, see s/trials.csv: .*must divide the width.*"
    assert re.fullmatch(said, done.stderr.strip())


@pytest.mark.slow
def test_trials_that_fall_behind_end_early_but_the_first(data, tmp_path):
    pruner = ["~pruner", "+pruner._target_=optuna.pruners.ThresholdPruner", "+pruner.upper=0"]
    said = searched(tmp_path, *TINY, data, *pruner, "trials=3", "run_dir=s")
    assert "3 trials: 1 complete, 2 pruned" in said
    assert [row["validations"] for row in trials(tmp_path / "s")] == ["2", "1", "1"]
    assert "nothing was better than the settings as they are" in said


@pytest.mark.slow
def test_killed_and_resumed_it_ends_where_it_would_have(data, tmp_path):
    arguments = [*TINY, data, "trials=5", "model.depth=range(1,4)", "pruner=null"]
    searched(tmp_path, *arguments, "run_dir=whole")
    context = multiprocessing.get_context("forkserver")
    outputs = [tmp_path / "out", tmp_path / "err"]
    killed = context.Process(
        target=_command,
        args=(("search", *arguments, "run_dir=cut"), tmp_path, {"OMP_NUM_THREADS": "1"}, outputs),
    )
    killed.start()
    folder = tmp_path / "cut"
    while not (folder / "trials" / "2").exists():  # the third trial is at work
        assert killed.is_alive(), outputs[1].read_text()
        time.sleep(0.02)
    os.kill(killed.pid, signal.SIGKILL)
    killed.join()
    assert len(trials(folder)) in (2, 3)
    said = searched(tmp_path, *arguments, "resume=cut")
    assert "2 of 5 trials are done; 1 were cut off and start again" in said
    assert drawn(folder) == drawn(tmp_path / "whole")
    # At its end it goes on with more trials, alone by its folder.
    assert "5 of 6 trials are done" in searched(tmp_path, "resume=cut", "trials=6")
    assert len(trials(folder)) == 6
    for more, said in (("model.depth=1", "begun without"), ("space=null", "begun without")):
        done = gia("search", "resume=cut", more, cwd=tmp_path, check=False)
        assert done.returncode == 1
        assert said in done.stderr


@pytest.mark.slow
def test_two_at_a_time_find_what_one_finds(data, tmp_path):
    grid = ["space=null", "model.depth=choice(1,2)", "model.dropout=choice(0.0,0.2)", "trials=9"]
    for jobs in (1, 2):
        searched(tmp_path, *TINY, data, *grid, f"jobs={jobs}", f"run_dir=s{jobs}", "pruner=null")
    one, two = (sorted(map(tuple, drawn(tmp_path / f"s{jobs}"))) for jobs in (1, 2))
    assert len(one) == 4  # the settings as they are, dropout 0.2, are among them
    assert one == two


def test_one_search_at_a_time_in_a_folder(tmp_path):
    from gia.search.study import alone

    refused = pytest.raises(ValueError, match="searched by another process")
    with alone(tmp_path), refused, alone(tmp_path):
        pass
    with alone(tmp_path):  # free again
        assert (tmp_path / ".lock").is_file()
