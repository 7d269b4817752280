"""``gia duel`` as a user meets it: real trainings, killed, changed, broken and refused."""

import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time

import pytest
from comparisons import CONF
from runs import _command, in_fresh_process, peptides_fasta

ARGUMENTS = [
    "duel", f"--config-dir={CONF}", "plan=tiny", "plan.trials=[[]]",
    "plan.datasets.peptides.steps=5",
]  # fmt: skip
RUNS = "docs/evidence/runs/tiny/peptides"


def duel(folder, *overrides, check=True):
    done = in_fresh_process(*ARGUMENTS, *overrides, cwd=folder)
    text = done.stdout + done.stderr
    assert "Traceback" not in text
    if check:
        assert done.returncode == 0, text
        assert "Epoch" not in text  # no bars: there may be hundreds of runs
    return done


def files(folder):
    return {path: path.stat().st_mtime_ns for path in (folder / RUNS).rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """All of a small plan."""
    folder = tmp_path_factory.mktemp("duel")
    peptides_fasta(folder, 130)
    return folder, duel(folder)


def test_every_cell_leaves_one_small_file_and_there_is_a_report(finished):
    folder, done = finished
    names = [f"{v}/replicate_{r}_trial_0.json" for v in ("gin", "softmax") for r in (0, 1)]
    assert sorted(files(folder)) == [folder / RUNS / name for name in names]
    records = [json.loads((folder / RUNS / name).read_text()) for name in names]
    assert all(record["steps"] >= 5 for record in records)  # rounded up to whole epochs
    assert all(record["epochs"] == len(record["curve"]) for record in records)
    assert all(record["curve"][-1][0] == record["steps"] for record in records)
    assert records[0]["split"] == records[2]["split"] != records[1]["split"]
    assert all(abs(record["parameters"] - 6000) <= 60 for record in records)
    for record in records:
        details = record["details"]
        steps, train, val = zip(*details["losses"], strict=True)
        assert list(steps) == [step for step, _ in record["curve"]]
        assert list(val) == [loss for _, loss in record["curve"]]
        assert min(train) > 0
        assert details["best"] == [steps[val.index(min(val))], record["val"]["loss"]]
        assert len(details["layers"]["sharpening"]) == 2
        nats, symbols = (sum(column) for column in zip(*details["test_items"], strict=True))
        assert nats / symbols == pytest.approx(record["test"]["loss"], rel=1e-4)
    assert "## Beyond the training" not in (folder / "report.md").read_text()  # against nobody
    assert "4 runs, 4 to do" in done.stdout
    assert re.search(r"parameters on peptides: gin [\d,]+, softmax [\d,]+", done.stdout)
    tally = re.search("ours against baseline: (.*)", done.stdout)[1]
    assert f"**{tally}** on 1 data sets" in (folder / "report.md").read_text()
    assert (folder / "images" / "report.png").is_file()
    left = [path.name for path in (folder / "runs").rglob("*") if path.is_file()]
    assert left == ["multirun.yaml"]  # what the runs worked in is gone


def test_finished_runs_are_skipped_and_the_report_needs_only_the_evidence(finished):
    folder, _ = finished
    before, report = files(folder), (folder / "report.md").read_text()
    (folder / "report.md").unlink()
    fasta = (folder / "peptides.fasta").rename(folder / "away")
    try:
        done = duel(folder, "report_only=true")
        assert "4 of 4 runs are there" in done.stdout
        assert (folder / "report.md").read_text() == report
        assert "4 runs, 0 to do" in duel(folder).stdout
    finally:
        fasta.rename(folder / "peptides.fasta")
    assert files(folder) == before


def test_broken_and_changed_runs_are_repeated_and_nothing_else(finished, tmp_path):
    folder, _ = finished
    before = files(folder)
    broken = folder / RUNS / "gin" / "replicate_0_trial_0.json"
    whole = json.loads(broken.read_text())
    broken.write_text(broken.read_text()[:100])
    changed = folder / RUNS / "softmax" / "replicate_1_trial_0.json"
    changed.write_text(changed.read_text().replace('"digest": "', '"digest": "0'))
    # A report alone counts what was made before a change, and says so.
    assert "3 of 4 runs are there" in duel(folder, "report_only=true", "report=only.md").stdout
    assert " 1 of them were made before the" in (folder / "only.md").read_text()
    done = duel(folder)
    assert "4 runs, 2 to do" in done.stdout
    assert "gin/replicate_0_trial_0: again, since" in done.stdout
    assert "replicate_1_trial_0: again, since the configuration files have changed" in done.stdout
    assert {path for path, when in files(folder).items() if when != before[path]} == {
        broken, changed,
    }  # fmt: skip
    again = json.loads(broken.read_text())
    assert {**again, "seconds": 0, "seconds_per_epoch": 0} == {
        **whole, "seconds": 0, "seconds_per_epoch": 0,
    }  # fmt: skip


def test_a_part_can_be_chosen_and_cells_out_of_range_are_skipped_quietly(finished):
    folder, _ = finished
    done = duel(folder, "variant=gin", "replicate=1,7", "plan.trials=[['optimizer.lr=2e-3']]",
                "evidence=other", "report=other.md")  # fmt: skip
    found = [path.name for path in (folder / "other").rglob("*.json")]
    assert found == ["replicate_1_trial_0.json"]
    assert "1 runs, 1 to do" in done.stdout
    assert "3 of 4 runs are missing" in (folder / "other.md").read_text()


def test_a_failing_run_does_not_stop_the_others(finished, tmp_path):
    folder, _ = finished
    bad = "'attention=gin','callbacks.throughput._target_=gia.training.Fast'"
    done = duel(
        folder, f"plan.variants.gin.overrides=[{bad}]", "replicate=0",
        f"evidence={tmp_path}", f"report={tmp_path}/report.md", check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "gia: 1 runs failed" in done.stderr
    assert re.search("peptides/gin/replicate_0_trial_0: .*gia.training.Fast", done.stderr)
    (error,) = (folder / "runs").rglob("error.txt")
    assert "Traceback" in error.read_text()
    assert [path.parent.name for path in tmp_path.rglob("*.json")] == ["softmax"]
    assert "gin | ours | missing" in (tmp_path / "report.md").read_text()


REFUSED = {
    "sizes": (
        ["plan.variants.gin.overrides=['attention=gin','model.width=64']"],
        "6,000 parameters",
    ),
    "variant": (["variant=gine"], "variant must be one of gin, softmax, got 'gine'"),
    "data set": (["dataset=esol"], "dataset must be one of peptides, got 'esol'"),
    "budget": (["plan.datasets.peptides.steps=0"], "steps must be at least 1, got 0"),
    "data": (
        ["plan.datasets.peptides.overrides=['data=fasta','data.path=no.fa']"],
        "no.fa does not",
    ),
    "setting": (["plan.overrides=['model.widht=3']"], "widht"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_bad_plan_is_refused_before_anything_is_trained(finished, case, tmp_path):
    folder, _ = finished
    overrides, message = REFUSED[case]
    done = duel(folder, *overrides, f"evidence={tmp_path}", f"scratch={tmp_path}", check=False)
    assert done.returncode == 1
    assert message in done.stderr
    assert not list(tmp_path.rglob("*.json"))
    assert "starts" not in done.stdout


def test_help_says_what_there_is(tmp_path):
    text = in_fresh_process("duel", "--help", cwd=tmp_path).stdout
    assert "\n  gia duel plan=graphs" in text
    assert re.search(r"plan: .*graphs", text)
    assert not list(tmp_path.iterdir())


LONG = ["plan.datasets.peptides.steps=150", "variant=gin", "replicate=0"]


@pytest.fixture(scope="module")
def uninterrupted(finished):
    folder, _ = finished
    duel(folder, *LONG, "evidence=whole", "scratch=runs/whole", "report=whole.md")
    (path,) = (folder / "whole").rglob("*.json")
    return json.loads(path.read_text())


@pytest.mark.parametrize(
    "stop",
    [
        pytest.param(signal.SIGKILL, id="kill"),
        pytest.param(signal.SIGINT, id="ctrl-c", marks=pytest.mark.slow),
    ],
)
def test_an_interrupted_run_goes_on_and_ends_as_if_it_had_not_been(uninterrupted, finished, stop):
    folder, _ = finished
    name = stop.name.lower()
    arguments = [*ARGUMENTS, *LONG, f"evidence={name}", f"scratch=runs/{name}", f"report={name}.md"]
    context = multiprocessing.get_context("forkserver")
    outputs = [folder / f"{name}.out", folder / f"{name}.err"]
    process = context.Process(target=_command, args=(arguments, folder, {}, outputs))
    process.start()
    for _ in range(2000):
        if list((folder / "runs" / name).rglob("last.ckpt")) or not process.is_alive():
            break
        time.sleep(0.01)
    os.kill(process.pid, stop)
    process.join()
    assert not list((folder / name).rglob("*.json")), "too late to interrupt it"
    if stop == signal.SIGINT:
        assert process.exitcode == 130
        assert "interrupted; `gia duel plan=tiny` goes on from here" in outputs[1].read_text()
    done = duel(folder, *LONG, f"evidence={name}", f"scratch=runs/{name}", f"report={name}.md")
    assert "resuming from" in done.stdout
    (path,) = (folder / name).rglob("*.json")
    record = json.loads(path.read_text())
    for key in ("val", "test", "curve", "steps", "epochs", "digest", "split"):
        assert record[key] == uninterrupted[key], key


@pytest.mark.slow
def test_two_at_a_time_give_the_same(finished):
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    folder, _ = finished
    launcher = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
    # Not a child of this process: joblib's workers, left idle, would be waited for.
    command = [sys.executable, "-m", "gia.cli", *ARGUMENTS, *launcher, "evidence=pair"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    for one in (folder / RUNS).rglob("*.json"):
        other = folder / "pair" / "tiny" / "peptides" / one.relative_to(folder / RUNS)
        records = [json.loads(path.read_text()) for path in (one, other)]
        assert records[0]["test"] == records[1]["test"]
