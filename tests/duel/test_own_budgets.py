"""``gia duel`` of models as they come, chemprop's own program among them."""

import json

import pytest
from comparisons import CONF
from programs import fake_chemprop
from runs import in_fresh_process

pytest.importorskip("rdkit")
SMILES = ["C" * n + end for n in range(1, 31) for end in ("O", "N", "Cl", "c1ccccc1")]
RUNS = "docs/evidence/runs/own/molecules"


def duel(folder, *overrides, check=True, **environment):
    arguments = ["duel", f"--config-dir={CONF}", "plan=own", *overrides]
    cache = {"GIA_CACHE": str(folder / "cache")}
    done = in_fresh_process(*arguments, cwd=folder, **cache, **environment)
    assert "Traceback" not in done.stdout + done.stderr
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


def table(folder):
    rows = [f"{smiles},{len(smiles) + i / 7}" for i, smiles in enumerate(SMILES)]
    (folder / "molecules.csv").write_text("\n".join(["smiles,y", *rows, ""]))


def record(folder, variant, replicate=0):
    path = folder / RUNS / variant / f"replicate_{replicate}_trial_0.json"
    return json.loads(path.read_text())


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """All of the plan: first without the program, then with it."""
    folder = tmp_path_factory.mktemp("own")
    table(folder)
    without = duel(folder, GIA_CHEMPROP="nowhere")
    return folder, without, duel(folder, GIA_CHEMPROP=str(fake_chemprop(folder)))


def test_what_is_not_installed_is_left_out_with_the_reason(finished):
    folder, without, done = finished
    assert "6 runs, 6 to do" in without.stdout
    assert "chemprop is left out: chemprop is not installed: there is no program" in without.stdout
    assert "4 of 6 runs are there" in without.stdout
    assert "6 runs, 2 to do" in done.stdout
    assert "6 of 6 runs are there" in done.stdout
    refused = duel(
        folder, "variant=chemprop", "evidence=other", "report=other.md", check=False,
        GIA_CHEMPROP="nowhere",
    )  # fmt: skip
    assert refused.returncode == 1
    assert refused.stderr.startswith("gia: chemprop is not installed")


def test_all_of_a_replicate_have_one_split_and_each_its_own_budget(finished):
    folder, _, _ = finished
    runs = {name: record(folder, name) for name in ("gin", "gin_x2", "chemprop")}
    assert len({run["split"] for run in runs.values()}) == 1
    assert record(folder, "chemprop", 1)["split"] != runs["chemprop"]["split"]
    assert runs["gin"]["epochs"] == 2.0
    assert runs["gin_x2"]["epochs"] == 4.0  # of both members
    assert runs["chemprop"]["steps"] == 0
    assert runs["chemprop"]["versions"]["chemprop"] == "9.9.9"
    assert not [o for o in runs["gin"]["overrides"] if o.startswith(("steps", "callbacks"))]
    assert runs["gin_x2"]["val"]["rmse"] > 0
    for name, run in runs.items():
        assert 0.5 < run["reliability"]["after"]["coverage"] <= 1, name
    assert runs["gin_x2"]["parameters"] > 1.9 * runs["gin"]["parameters"]


def test_the_report_compares_with_the_program(finished):
    folder, _, _ = finished
    text = (folder / "report.md").read_text()
    assert "### Better than chemprop by" in text
    assert "### Better than gin by" in text
    assert "](images/report_chemprop.png)" in text
    assert (folder / "images" / "report_chemprop.png").is_file()
    assert "chemprop 9.9.9" in text
    assert "each variant's own" in text
    (row,) = [line for line in text.splitlines() if line.startswith("| molecules (rmse) | ")][:1]
    assert row.count(" ± ") == 3  # the means of all variants


@pytest.mark.slow
def test_an_interrupted_ensemble_goes_on_with_its_members(finished):
    """A member that is finished is not trained again."""
    folder, _, _ = finished
    settings = ["variant=gin_x2", "replicate=0", "evidence=again", "scratch=again_runs"]
    duel(folder, *settings, "report=again.md", "keep=true")
    scratch = folder / "again_runs" / "own" / "molecules" / "gin_x2" / "replicate_0_trial_0"
    (attempt,) = scratch.rglob("attempt_0")
    first = json.loads((attempt / "members" / "0" / "test.json").read_text())
    (attempt / "members" / "1" / "test.json").unlink()
    (attempt / "members" / "1" / "checkpoints" / "last.ckpt").unlink(missing_ok=True)
    (path,) = (folder / "again").rglob("*.json")
    before = json.loads(path.read_text())
    path.unlink()
    done = duel(folder, *settings, "report=again.md", "keep=true")
    assert "resuming from" in done.stdout
    (again,) = scratch.rglob("attempt_1")
    assert json.loads((again / "members" / "0" / "test.json").read_text()) == first
    assert json.loads(path.read_text())["test"] == before["test"]
